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
// As Node.js gives it for CommonJS modules, which mediasoup is: `import mediasoup from 'mediasoup'`.
export default datasoup;
