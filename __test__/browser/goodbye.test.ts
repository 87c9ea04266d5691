/// <reference lib="dom" />

import type { types } from '../..';
import { LOOPBACK } from '../helpers/arrangement';
import { router, worker } from '../helpers/router';
import { within } from '../helpers/wait';
import { BrowserClient } from './client';
import { openPage } from './emptyPage';

/** Chromium reads what it has acknowledged, although its channel closes at once. */

const TEXTS = Array.from({ length: 30 }, (_, index) => `${index} ${'x'.repeat(2000)}`);

interface Objects {
  dataConsumer: types.DataConsumer;
  dataProducer: types.DataProducer;
  directTransport: types.DirectTransport;
  transport: types.WebRtcTransport;
  worker: types.Worker;
}

const NAMES = [
  'dataConsumer',
  'dataProducer',
  'transport',
  'directTransport',
  'worker',
] as const satisfies (keyof Objects)[];

describe.each([
  ['a page that is idle', 0],
  ['a page that is busy for a second', 1000],
])('to %s', (_title, busyMs) => {
  test.each(NAMES)(
    '30 messages arrive that were sent before %s.drained() and close()',
    async (name) => {
      const transport = await router.createWebRtcTransport({
        listenInfos: LOOPBACK,
        enableSctp: true,
      });
      const directTransport = await router.createDirectTransport();
      const dataProducer = await directTransport.produceData();
      const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
      const client = await BrowserClient.connect(await openPage(), transport, [0]);
      const objects: Objects = { dataConsumer, dataProducer, directTransport, transport, worker };

      await client.keepBusy(busyMs);
      TEXTS.forEach((text) => dataProducer.send(text));
      await within(objects[name].drained(), 'drained()');
      objects[name].close();
      await client.untilClosed(0);
      expect(await client.received(0, 0)).toEqual(TEXTS);
    },
  );
});
