'use strict';

// The names of the events of the contract. Plain JavaScript, because a program in robustness/ runs it without a
// compiler.

/** The events of objects, except 'demand', which is costlier with a listener. */
exports.EVENTS = /** @type {const} */ ([
  'bufferedamountlow',
  'close',
  'datachannel',
  'dataproducerclose',
  'dataproducerpause',
  'dataproducerresume',
  'died',
  'drain',
  'dtlsstatechange',
  'iceselectedtuplechange',
  'icestatechange',
  'limit',
  'listenererror',
  'listenserverclose',
  'message',
  'overflow',
  'pause',
  'resume',
  'routerclose',
  'sctpsendbufferfull',
  'sctpstatechange',
  'stalled',
  'streamclose',
  'subprocessclose',
  'trace',
  'transportclose',
  'tuple',
  'unstalled',
  'workerclose',
]);

/** The events of observers. */
exports.OBSERVER_EVENTS = /** @type {const} */ ([
  'close',
  'datachannel',
  'dtlsstatechange',
  'iceselectedtuplechange',
  'icestatechange',
  'newdataconsumer',
  'newdataproducer',
  'newrouter',
  'newtransport',
  'newwebrtcserver',
  'newworker',
  'pause',
  'resume',
  'sctpstatechange',
  'trace',
  'tuple',
  'webrtctransporthandled',
  'webrtctransportunhandled',
]);
