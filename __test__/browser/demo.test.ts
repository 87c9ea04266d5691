import { once } from 'node:events';

import type { Browser, BrowserContext } from 'playwright-core';
import WebSocket from 'ws';

import { type Server, startServer } from '../helpers/server';
import { launchChromium } from './chromium';
import { Tab } from './tab';

const DEMO = 'demo/server.js';

let server: Server;
let browser: Browser;
let context: BrowserContext;
let tabs: Tab[] = [];
let rooms = 0;

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(DEMO), launchChromium()]);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

beforeEach(async () => {
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(15_000);
  rooms += 1;
});

afterEach(async () => {
  const errors = tabs.flatMap((tab) => tab.errors.map((error) => `${tab.name}: ${error}`));
  tabs = [];
  await context.close();

  expect(errors).toEqual([]);
  expect(server.stderr()).toBe('');
});

/** Opens tabs in the current test's room, one after the other. */
async function join(...names: string[]): Promise<Tab[]> {
  const joined = [];
  for (const name of names) {
    const tab = await Tab.join(context, server.url, { name, room: `room-${rooms}` });
    joined.push(tab);
    tabs.push(tab);
  }

  return joined;
}

describe('two tabs', () => {
  test('exchange all chat messages in order', async () => {
    const [anise, basil] = (await join('Anise', 'Basil')) as [Tab, Tab];
    const lines = (tab: Tab) => Array.from({ length: 20 }, (_, i) => `${tab.name} says ${i}`);

    await Promise.all(
      [anise, basil].map(async (tab) => {
        for (const line of lines(tab)) await tab.say(line);
      }),
    );
    await anise.message('Basil', 'Basil says 19').waitFor();
    await basil.message('Anise', 'Anise says 19').waitFor();

    expect(await anise.said('Basil')).toEqual(lines(basil));
    expect(await basil.said('Anise')).toEqual(lines(anise));
  });

  test('show markup in a message as text', async () => {
    const [anise, basil] = (await join('Anise', 'Basil')) as [Tab, Tab];

    await anise.say('<b>"ünïcode" & 汤</b>');
    await basil.message('Anise', '汤').waitFor();

    expect(await basil.said('Anise')).toEqual(['<b>"ünïcode" & 汤</b>']);
  });

  test('show the other tab’s cursor at its position', async () => {
    const [anise, basil] = (await join('Anise', 'Basil')) as [Tab, Tab];

    await anise.point(0.25, 0.75);
    // The page sends the last position twice, so that the position arrives even if one message is lost.
    await basil.cursorAt('Anise', 0.25, 0.75);
    expect(await basil.cursors.count()).toBe(1);
    expect(await anise.cursors.count()).toBe(0);

    await basil.point(0.5, 0.5);
    await anise.cursorAt('Basil', 0.5, 0.5);
    await anise.point(0.7, 0.2);
    await basil.cursorAt('Anise', 0.7, 0.2);
  });

  test('in different rooms get no message of each other', async () => {
    const [anise] = (await join('Anise')) as [Tab];
    rooms += 1;
    const [basil] = (await join('Basil')) as [Tab];

    await anise.say('Is anybody here?');
    await anise.say('/echo nobody');
    await anise.message('Ladle', 'nobody').waitFor();
    await basil.say('/echo alone');
    await basil.message('Ladle', 'alone').waitFor();

    expect(await basil.said('Anise')).toEqual([]);
    expect(await basil.message('Ladle', 'nobody').count()).toBe(0);
  });

  test('send only signalling over the WebSocket', async () => {
    const [anise, basil] = (await join('Anise', 'Basil')) as [Tab, Tab];

    await anise.say('a word in confidence');
    await basil.message('Anise', 'a word in confidence').waitFor();
    await basil.say('/echo from Node');
    await anise.message('Ladle', 'from Node').waitFor();

    const frames = [...anise.signalling, ...basil.signalling];
    expect(frames.length).toBeGreaterThan(0);
    expect(frames.filter((frame) => /confidence|from Node|Welcome/.test(frame))).toEqual([]);
  });
});

describe('the bot in Node', () => {
  test('answers to every tab of the room', async () => {
    const [anise, basil] = (await join('Anise', 'Basil')) as [Tab, Tab];

    await anise.say('/dice 3d6');
    for (const tab of [anise, basil]) {
      await tab.message('Ladle', /Anise rolls [1-6] \+ [1-6] \+ [1-6] = \d+/).waitFor();
    }
    await basil.say('/stats');
    await anise.message('Ladle', /Open for \d+ minutes?, 2 messages heard/).waitFor();
  });

  test('answers /help only to the tab that asked, by subchannel', async () => {
    const [anise, basil] = (await join('Anise', 'Basil')) as [Tab, Tab];

    await anise.say('/help');
    await anise.message('Ladle', 'I know these commands').waitFor();
    // The channel is ordered: once the echo has arrived, no answer to /help can follow.
    await anise.say('/echo done');
    await basil.message('Ladle', 'done').waitFor();

    expect(await basil.message('Ladle', 'I know these commands').count()).toBe(0);
    expect(await basil.said('Ladle')).toEqual([expect.stringContaining('Welcome, Basil!'), 'done']);
  });
});

describe('the panel', () => {
  test('shows the states, the round trip and the messages per second', async () => {
    const [anise] = (await join('Anise')) as [Tab];

    for (const direction of ['send', 'recv']) {
      await anise.state(`${direction}-iceState`).filter({ hasText: 'completed' }).waitFor();
      for (const layer of ['dtlsState', 'sctpState', 'browser']) {
        await anise.state(`${direction}-${layer}`).filter({ hasText: 'connected' }).waitFor();
      }
    }
    await anise
      .value('rtt')
      .filter({ hasText: /^\d+(\.\d)?$/ })
      .waitFor();
    await anise
      .value('out')
      .filter({ hasText: /^[1-9]/ })
      .waitFor();
    await anise
      .value('in')
      .filter({ hasText: /^[1-9]/ })
      .waitFor();
    await anise.value('resent-server').filter({ hasText: /^\d+$/ }).waitFor();
    await anise
      .value('tuple')
      .filter({ hasText: /^udp .+:\d+$/ })
      .waitFor();
  });
});

describe('a tab that closes', () => {
  test('disappears from the other tab', async () => {
    const [anise, basil] = (await join('Anise', 'Basil')) as [Tab, Tab];
    await basil.point(0.5, 0.5);
    await anise.cursors.waitFor();

    await basil.page.close();
    await anise.note('Basil left').waitFor();

    expect(await anise.cursors.count()).toBe(0);
    expect(await anise.page.locator('#count').textContent()).toBe('just you');
  });

  test('whose data connection closes leaves the room, and joins again while its page is open', async () => {
    await context.addInitScript(`
      globalThis.connections = [];
      globalThis.RTCPeerConnection = class extends RTCPeerConnection {
        constructor(...args) { super(...args); connections.push(this); }
      };
    `);
    const [anise, basil] = (await join('Anise', 'Basil')) as [Tab, Tab];

    // The WebSocket stays open, so that only the end of DTLS shows the server that the connection closed.
    await basil.page.evaluate('connections.splice(0).forEach((connection) => connection.close())');
    await anise.note('Basil left').waitFor();
    await anise.note('Basil sat down').nth(1).waitFor();

    await basil.message('Ladle', 'Welcome, Basil!').nth(1).waitFor();
    await basil.say('That was quick');
    await anise.message('Basil', 'That was quick').waitFor();
  });

  test('does not disconnect the other tab, and can join again under its name', async () => {
    const [anise, basil] = (await join('Anise', 'Basil')) as [Tab, Tab];
    await basil.page.close();
    await anise.note('Basil left').waitFor();

    const [again] = (await join('Basil')) as [Tab];
    await again.say('Here I am again');
    await anise.message('Basil', 'Here I am again').waitFor();
    await anise.say('Welcome back');
    await again.message('Anise', 'Welcome back').waitFor();
  });
});

describe('the signalling', () => {
  async function connect(): Promise<WebSocket> {
    const socket = new WebSocket(server.url.replace('http', 'ws'));
    await once(socket, 'open');

    return socket;
  }

  async function ask(socket: WebSocket, message: unknown): Promise<Record<string, unknown>> {
    socket.send(typeof message === 'string' ? message : JSON.stringify(message));
    const [answer] = await once(socket, 'message');

    return JSON.parse(String(answer)) as Record<string, unknown>;
  }

  test.each([
    ['no JSON', '{', null, 'the message is not JSON'],
    ['no object', '[]', null, 'request must be an object'],
    ['no id', { method: 'join' }, null, 'id must be an integer'],
    ['no method', { id: 1 }, 1, 'method must be one of'],
    ['an inherited method', { id: 1, method: 'constructor' }, 1, 'method must be one of'],
    [
      'a request before join',
      { id: 1, method: 'consumeAll' },
      1,
      'this page has not joined a room yet',
    ],
    ['a join without a name', { id: 1, method: 'join', data: { room: 'r' } }, 1, 'name must be'],
    [
      'a long name',
      { id: 1, method: 'join', data: { room: 'r', name: 'n'.repeat(25) } },
      1,
      'name',
    ],
    ['a strange room', { id: 1, method: 'join', data: { room: '../r', name: 'n' } }, 1, 'room may'],
  ])('answers %s with an error', async (_, message, id, error) => {
    const socket = await connect();

    const answer = await ask(socket, message);
    socket.close();

    expect(answer).toEqual({ id, ok: false, error: expect.stringContaining(error) });
  });

  test('answers wrong parameters with an error and keeps the connection', async () => {
    const socket = await connect();
    const request = async (id: number, method: string, data: object) =>
      await ask(socket, { id, method, data });
    const channel = { label: 'chat', sctpStreamParameters: { streamId: 1 } };

    await request(1, 'join', { room: `room-${rooms}`, name: 'Cumin' });
    expect(await request(2, 'produceData', channel)).toMatchObject({ ok: false });
    expect(await request(3, 'createTransport', { direction: 'up' })).toMatchObject({ ok: false });
    expect(await request(4, 'createTransport', { direction: 'send' })).toMatchObject({ ok: true });
    expect(await request(5, 'createTransport', { direction: 'send' })).toMatchObject({ ok: false });
    const dtlsParameters = { fingerprints: [{ algorithm: 'md5', value: '00' }] };
    const connected = await request(6, 'connectTransport', { direction: 'send', dtlsParameters });
    expect(connected).toMatchObject({ ok: false });
    const wrong = { label: 'chat', sctpStreamParameters: { streamId: 70_000 } };
    expect(await request(7, 'produceData', wrong)).toMatchObject({ ok: false });
    expect(await request(8, 'produceData', channel)).toMatchObject({ ok: true });
    socket.close();
  });

  test('disconnects a page that sends too much', async () => {
    const long = await connect();
    long.send('x'.repeat(20_000));
    expect((await once(long, 'close'))[0]).toBe(1009);

    const flood = await connect();
    for (let i = 0; i < 2000; i += 1) flood.send('{}');
    expect((await once(flood, 'close'))[0]).toBe(1008);
  });
});

describe('a server', () => {
  let other: Server;
  let tab: Tab;

  beforeEach(async () => {
    other = await startServer(DEMO);
    tab = await Tab.join(context, other.url, { name: 'Dill', room: 'kitchen' });
    await untilLive();
  });

  afterEach(() => other.stop());

  async function untilLive(): Promise<void> {
    for (const name of ['rtt', 'rtt-median', 'in', 'out', 'buffered-server', 'drops-ping']) {
      await tab.value(name).filter({ hasText: /^\d/ }).waitFor();
    }
  }

  /** The figures of the panel, without repetitions. */
  async function figures(): Promise<string[]> {
    const all = tab.page.locator('[data-value]:not([data-value="tuple"])');

    return [...new Set(await all.allTextContents())];
  }

  test('exits with code 0 on SIGTERM; tabs show that the connection is lost, and no figures until it is back', async () => {
    expect(await other.stop()).toBe(0);
    await tab.page.getByText('The connection is lost').waitFor();
    expect(await figures()).toEqual(['–']);
    expect(await tab.state('send-iceState').textContent()).toBe('closed');

    other = await startServer(DEMO, new URL(other.url).port);
    await untilLive();
    await tab.page.getByRole('status').waitFor({ state: 'hidden' });
    expect(await tab.state('send-iceState').textContent()).toBe('completed');
    await tab.say('/echo back again');
    await tab.message('Ladle', 'back again').waitFor();
  });

  test('does not answer: tabs show this, and no figures until it answers', async () => {
    other.freeze();
    await tab.page.getByText('The server does not answer').waitFor();
    expect(await figures()).toEqual(['–']);

    other.thaw();
    await untilLive();
    await tab.page.getByRole('status').waitFor({ state: 'hidden' });
  });
});

test('if a connection takes over 3 s, the page says why and what to do', async () => {
  // No host has this address (RFC 5737), so no STUN request arrives.
  const other = await startServer(DEMO, '0', { ANNOUNCED_ADDRESS: '192.0.2.1' });
  const page = await context.newPage();
  await page.goto(`${other.url}/#kitchen`);
  await page.getByRole('button', { name: 'Take a seat' }).click();
  await page
    .getByRole('status')
    .filter({ hasText: /no STUN request has arrived at udp 192\.0\.2\.1:\d+.*announcedAddress/ })
    .waitFor();
  await other.stop();
});
