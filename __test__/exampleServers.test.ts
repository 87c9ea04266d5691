import { readFileSync } from 'node:fs';
import * as path from 'node:path';

import { peers } from './helpers/peers';
import { ROOT } from './helpers/process';
import { type Server, startServer } from './helpers/server';
import type { ChannelOptions, WebRtcPeer } from './helpers/WebRtcPeers';

/** The servers of the examples, with clients of node-datachannel; browser/ has their pages. */

let server: Server;

afterEach(async () => {
  await server.stop();
  expect(server.stderr()).toBe('');
});

function post(offer: string): Promise<Response> {
  return fetch(`${server.url}/offer`, { method: 'POST', body: offer });
}

/** Connects a client to the server, and waits until its channels are open. */
async function join(channels: ChannelOptions[]): Promise<WebRtcPeer> {
  const peer = await peers.create({ channels });
  const response = await post(peer.offer);
  expect(response.status).toBe(200);
  await peer.answer(await response.text());
  await peer.untilOpen();
  return peer;
}

const refused = test.each([
  ['an offer without a fingerprint', 'hello', 'the offer has no fingerprint'],
  ['a fingerprint that is none', 'a=fingerprint:sha-256 hello', 'fingerprint'],
  ['an offer that is too long', `${'v=0\n'.repeat(5000)}a=fingerprint:sha-256 00`, 'the offer'],
]);

describe('examples/starter', () => {
  beforeEach(async () => {
    server = await startServer('starter/server.js');
  });

  test('has at most 60 lines', () => {
    const lines = ['server.js', 'index.html'].map((file) =>
      readFileSync(path.join(ROOT, 'examples/starter', file), 'utf8')
        .trimEnd()
        .split('\n'),
    );
    expect(lines.flat().length).toBeLessThanOrEqual(60);
  });

  test('sends what one client says to all, and goes on when one leaves', async () => {
    const [anise, basil] = [await join([{ id: 0 }]), await join([{ id: 0 }])];
    await anise.send(0, 'hello');
    expect(await anise.untilMessages(0, 1)).toEqual(['hello']);
    expect(await basil.untilMessages(0, 1)).toEqual(['hello']);

    await anise.close();
    await basil.send(0, 'still here');
    expect(await basil.untilMessages(0, 2)).toEqual(['hello', 'still here']);
  });

  refused('answers %s with 400 and the reason', async (_title, offer, reason) => {
    const response = await post(offer);
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringContaining(reason),
    ]);
  });
});
