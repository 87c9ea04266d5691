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
// So that `import datasoup from 'datasoup'` works as for CommonJS modules, one of which is mediasoup.
export default datasoup;
