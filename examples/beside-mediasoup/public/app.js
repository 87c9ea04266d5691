// The page: one Device, and a pair of transports of each library.

import { Device } from 'mediasoup-client';

const list = document.querySelector('ol');
const form = document.querySelector('form');
const input = form.querySelector('input');
const videos = document.querySelector('#videos');
const status = document.querySelector('#status');

/** 'video send', 'video recv', 'data send', 'data recv' → transport of mediasoup-client */
const transports = new Map();
/** id → { consumer, element } */
const consumers = new Map();

const socket = new WebSocket(location.href.replace(/^http/, 'ws'));
/** id → { resolve, reject } */
const waiting = new Map();
/** Notifications are handled one at a time, in order. */
let turn = Promise.resolve();

function request(method, parameters = {}) {
  const id = crypto.randomUUID();
  socket.send(JSON.stringify({ id, method, ...parameters }));

  return new Promise((resolve, reject) => waiting.set(id, { resolve, reject }));
}

socket.onmessage = ({ data }) => {
  const { id, result, error, event, ...rest } = JSON.parse(data);
  if (event) {
    turn = turn.then(() => handlers[event](rest)).catch((failure) => show(String(failure)));
  } else if (error) waiting.get(id)?.reject(new Error(error));
  else waiting.get(id)?.resolve(result);
  waiting.delete(id);
};
socket.onclose = () => (status.textContent = 'The connection is closed: reload the page.');
socket.onopen = () => join().catch((error) => (status.textContent = error.message));

async function join() {
  const { routerRtpCapabilities, isStub } = await request('join');
  if (isStub) status.textContent = 'mediasoup is not installed: videos stay black.';

  const device = await Device.factory();
  await device.load({ routerRtpCapabilities });
  for (const kind of ['video', 'data']) {
    for (const direction of ['send', 'recv']) await createTransport(device, kind, direction);
  }

  await request('ready', { rtpCapabilities: device.recvRtpCapabilities });
  const dataProducer = await transports.get('data send').produceData({ ordered: true });
  form.onsubmit = (event) => {
    event.preventDefault();
    if (dataProducer.readyState !== 'open') return;

    dataProducer.send(input.value);
    show(`you: ${input.value}`);
    form.reset();
  };
  await transports.get('video send').produce({ track: clock() });
}

async function createTransport(device, kind, direction) {
  const options = await request('createTransport', { kind, direction });
  const transport =
    direction === 'send'
      ? device.createSendTransport(options)
      : device.createRecvTransport(options);

  transport.on('connect', ({ dtlsParameters }, done, fail) => {
    request('connect', { kind, direction, dtlsParameters }).then(done, fail);
  });
  transport.on('produce', ({ rtpParameters }, done, fail) => {
    request('produce', { kind, rtpParameters }).then(done, fail);
  });
  transport.on('producedata', ({ sctpStreamParameters }, done, fail) => {
    request('produce', { kind, sctpStreamParameters }).then(done, fail);
  });
  transport.on('connectionstatechange', (state) => {
    document.querySelector(`[data-state="${kind} ${direction}"]`).textContent = state;
  });
  transports.set(`${kind} ${direction}`, transport);
}

const handlers = {
  async newConsumer({ kind, options }) {
    const transport = transports.get(`${kind} recv`);
    const consumer = await (kind === 'video'
      ? transport.consume(options)
      : transport.consumeData(options));
    const resume = () => request('resume', { consumerId: consumer.id });
    consumers.set(consumer.id, { consumer, element: undefined });

    if (kind === 'video') {
      consumers.get(consumer.id).element = showVideo(consumer.track);
      await resume();
    } else {
      consumer.on('message', (message) => show(`peer: ${message}`));
      // Browsers drop messages of channels that they have not opened yet.
      if (consumer.readyState === 'open') await resume();
      else consumer.once('open', resume);
    }
  },

  async consumerClosed({ consumerId }) {
    const { consumer, element } = consumers.get(consumerId) ?? {};
    consumer?.close();
    element?.remove();
    consumers.delete(consumerId);
  },
};

function show(text) {
  list.appendChild(document.createElement('li')).textContent = text;
}

function showVideo(track) {
  const video = videos.appendChild(document.createElement('video'));
  Object.assign(video, { autoplay: true, muted: true, playsInline: true });
  video.srcObject = new MediaStream([track]);

  return video;
}

/** A video that needs no camera: the time. */
function clock() {
  const canvas = document.createElement('canvas');
  Object.assign(canvas, { width: 320, height: 240 });
  const context = canvas.getContext('2d');
  setInterval(() => {
    context.fillStyle = 'navy';
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.fillStyle = 'white';
    context.font = '48px monospace';
    context.fillText(new Date().toLocaleTimeString('en-GB'), 40, 130);
  }, 100);

  return canvas.captureStream(10).getVideoTracks()[0];
}
