import type { types } from '../..';
import { router, worker } from '../helpers/router';
import { untilState } from '../helpers/wait';
import { BrowserClient } from './client';
import { openPage } from './emptyPage';

/** Hosts with several addresses, with Chromium as the client: it takes answers only from the address that it asked. */

const LISTEN_INFO: types.TransportListenInfo = {
  protocol: 'udp',
  ip: '0.0.0.0',
  announcedAddress: '127.0.0.2',
};

test.each([
  ['a WebRtcTransport', () => Promise.resolve({ listenInfos: [LISTEN_INFO] })],
  [
    'a WebRtcServer',
    async () => ({
      webRtcServer: await worker.createWebRtcServer({ listenInfos: [LISTEN_INFO] }),
    }),
  ],
])('Chromium connects to %s on 0.0.0.0 by an address that is not the first', async (_title, on) => {
  const transport = await router.createWebRtcTransport({ enableSctp: true, ...(await on()) });
  const client = await BrowserClient.connect(await openPage(), transport, [0]);
  await untilState(transport, 'iceState', 'completed');
  expect(transport.iceSelectedTuple?.localAddress).toBe('127.0.0.2');
  await client.close();
});
