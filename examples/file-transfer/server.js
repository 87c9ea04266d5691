'use strict';

// Files of any size to and from a page, at the pace of the slower side:
//
//     FILE=film.mp4 node examples/file-transfer/server.js
//
// then open the printed address. The policy 'block' holds up the sender while the receiver is behind, so nothing is
// dropped and nothing piles up: the file is read only as fast as the page takes it, and the page sends only as fast as
// the disk writes.

const fs = require('node:fs');
const { tmpdir } = require('node:os');
const path = require('node:path');
const { pipeline } = require('node:stream/promises');
const { createWorker } = require('datasoup');
const { serve } = require('../offers');
const { answerOf, dtlsParametersOf } = require('../sdp');

/** The streams to the page and from it. On both a file is { name, size } in JSON, then its bytes. */
const DOWN = 0;
const UP = 1;
const MAX_SIZE = 4 * 1024 ** 3;
/** A slow tab holds up no other tab here, so it may take as long as it needs. */
const BLOCK = Object.freeze({ overflow: 'block', overflowTimeout: 0xffffffff });

async function main(environment) {
  const { FILE: file = __filename } = environment;
  const router = await (await createWorker()).createRouter();
  const direct = await router.createDirectTransport();
  const folder = fs.mkdtempSync(path.join(tmpdir(), 'file-transfer-'));
  let saved = 0;

  async function join(offer) {
    const tab = await router.createWebRtcTransport({
      listenInfos: [{ protocol: 'udp', ip: '0.0.0.0' }],
      enableSctp: true,
    });
    tab.on('icestatechange', (state) => state === 'disconnected' && tab.close());
    tab.on('sctpstatechange', (state) => {
      if (state === 'connected') failWith(tab, sendFile(source)); // A tab that is not connected holds up nothing.
      if (state === 'closed') tab.close();
    });
    setTimeout(() => tab.sctpState === 'connected' || tab.close(), 15_000).unref();

    const source = await direct.produceData();
    const { id } = await tab.produceData({ sctpStreamParameters: { streamId: UP } });
    const inbox = await direct.consumeData({ dataProducerId: id, ...BLOCK });

    await tab.consumeData({ dataProducerId: source.id, streamId: DOWN, ...BLOCK });
    tab.on('close', () => source.close());
    failWith(tab, saveFiles(inbox));
    await tab.connect({ dtlsParameters: dtlsParametersOf(offer) });
    return answerOf(tab);
  }

  function failWith(tab, transfer) {
    transfer.catch((error) => {
      console.log(`a transfer failed: ${error.message}`);
      tab.close();
    });
  }

  async function sendFile(source) {
    const { size } = fs.statSync(file);

    source.send(JSON.stringify({ name: path.basename(file), size }));
    await pipeline(fs.createReadStream(file), source.writable());
    console.log(`sent ${file}`);
  }

  async function saveFiles(inbox) {
    const messages = inbox[Symbol.asyncIterator]();

    for (;;) {
      const { value, done } = await messages.next();
      if (done) return;
      const { size } = JSON.parse(value.message.toString());
      const name = path.join(folder, String(++saved));

      await pipeline(bytes(messages, size), fs.createWriteStream(name));
      console.log(`saved ${size} bytes as ${name}`);
    }
  }

  /** The next `size` bytes. */
  async function* bytes(messages, size) {
    if (!(size >= 0 && size <= MAX_SIZE)) throw new RangeError(`no size of a file: ${size}`);
    for (let left = size; left > 0;) {
      const { value, done } = await messages.next();
      if (done) throw new Error('the tab has left');
      left -= value.message.length;
      yield value.message;
    }
  }

  serve(`${__dirname}/index.html`, join, environment);
}

main(process.env);
