import datasoup from './index.js';

export const {
  version,
  observer,
  createWorker,
  setLogEventListeners,
  getSupportedRtpCapabilities,
  errors,
  extras,
} = datasoup;
