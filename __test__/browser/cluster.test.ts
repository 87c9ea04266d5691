import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';

import type { Browser, BrowserContext } from 'playwright-core';

import { type Server, startServer } from '../helpers/server';
import { launchChromium } from './chromium';
import { Tab } from './tab';

// examples/cluster: the demo on three processes.

const SCRIPT = 'cluster/server.js';

let server: Server;
let browser: Browser;
let context: BrowserContext;
let urls: string[];
let pids: number[];

beforeAll(async () => {
  [server, browser] = await Promise.all([startServer(SCRIPT), launchChromium()]);
  const printed = await server.untilPrinted(/process (\d+): +(http:\S+)/g, 3);
  pids = printed.map((it) => Number(it[1]));
  urls = printed.map((it) => it[2]!);
  context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  context.setDefaultTimeout(20_000);
});

afterAll(async () => {
  await browser?.close();
  await server?.stop();
});

test('people on three hosts share a room, until a host leaves and another one dies', async () => {
  const tabs: Tab[] = [];
  for (const [index, name] of ['Anise', 'Basil', 'Cumin'].entries()) {
    tabs.push(await Tab.join(context, urls[index]!, { name, room: 'kitchen' }));
  }
  const [anise, basil, cumin] = tabs as [Tab, Tab, Tab];
  for (const tab of tabs) {
    await tab.page.locator('#count').filter({ hasText: '3 people' }).waitFor();
  }
  // A channel of a tab that has just joined opens within a moment.
  await anise.message('Ladle', 'Welcome, Anise!').waitFor();
  for (let number = 0; number < 10; number += 1) await anise.say(`number ${number}`);
  for (const tab of [basil, cumin]) {
    await tab.message('Anise · host-1', 'number 9').waitFor();
    expect(await tab.said('Anise · host-1')).toEqual(
      Array.from({ length: 10 }, (_, number) => `number ${number}`),
    );
  }
  await basil.point(0.25, 0.75);
  await cumin.cursorAt('Basil', 0.25, 0.75);
  // The bot of a host answers to all hosts, but whispers to one tab.
  await cumin.say('/help');
  await cumin.say('/echo from host-3');
  await anise.message('Ladle', 'from host-3').waitFor();
  expect(await anise.message('Ladle', 'I know these commands').count()).toBe(0);

  await basil.say('the last word');
  process.kill(pids[1]!, 'SIGTERM');
  for (const tab of [anise, cumin]) {
    await tab.message('Basil', 'the last word').waitFor();
    await tab.note('Basil · host-2 left').waitFor();
  }
  process.kill(pids[2]!, 'SIGKILL');
  await anise.note('Cumin · host-3 left (connection lost)').waitFor();
  await anise.say('/echo still here');
  await anise.message('Ladle', 'still here').waitFor();
  expect(anise.errors).toEqual([]);
  expect(server.stderr()).toBe('');
  expect(await server.stop()).toBe(0);
  expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain(
    'cluster/host.js',
  );
});

test('without a bus, the error says what to install', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'datasoup-'));
  for (const command of ['nats-server', 'redis-server']) {
    writeFileSync(path.join(folder, command), '#!/bin/sh\nexit 1\n');
    chmodSync(path.join(folder, command), 0o755);
  }
  const started = startServer(SCRIPT, '0', { PATH: `${folder}:/bin` });
  await expect(started).rejects.toThrow(/apt-get install nats-server.*NATS_URL=.*REDIS_URL=/);
  rmSync(folder, { recursive: true });
});
