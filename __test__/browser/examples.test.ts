/// <reference lib="dom" />

import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';

import type { Browser, BrowserContext, Page } from 'playwright-core';

import { type Server, startServer } from '../helpers/server';
import { violations } from './axe';
import { launchChromium } from './chromium';

/** The pages of the examples. */

let server: Server;
let browser: Browser;
let context: BrowserContext;
let errors: string[];

beforeAll(async () => {
  browser = await launchChromium();
});

beforeEach(async () => {
  errors = [];
  context = await browser.newContext();
  context.setDefaultTimeout(15_000);
  // The connections of each page, in the order of their creation.
  await context.addInitScript(`
    globalThis.connections = [];
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(...args) { super(...args); connections.push(this); }
    };
  `);
});

afterEach(async () => {
  await context.close();
  await server.stop();
  expect(errors).toEqual([]);
  expect(server.stderr()).toBe('');
});

afterAll(() => browser?.close());

async function open(): Promise<Page> {
  const page = await context.newPage();
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.goto(server.url);
  return page;
}

async function say(page: Page, text: string): Promise<void> {
  await page.getByLabel('Message', { exact: true }).fill(text);
  await page.getByRole('button', { name: 'Send' }).click();
}

const channelOpen = (): boolean =>
  connections.length > 0 && connections.every(({ sctp }) => sctp?.state === 'connected');

declare const connections: RTCPeerConnection[];

test('examples/starter: what a tab says is shown in all tabs, as text', async () => {
  server = await startServer('starter/server.mjs');
  const [anise, basil] = [await open(), await open()];
  await Promise.all([anise, basil].map((page) => page.waitForFunction(channelOpen)));

  await say(anise, '<b>hello</b>');
  for (const page of [anise, basil]) {
    await page.getByRole('listitem').filter({ hasText: '<b>hello</b>' }).waitFor();
  }
  expect(await violations(anise)).toEqual([]);
});

test('examples/file-transfer: the page offers the file of the server, and the server saves one of the page', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'datasoup-'));
  const [file, upload] = ['file.bin', 'upload.bin'].map((name) => path.join(folder, name));
  writeFileSync(file!, randomBytes(2_000_001));
  writeFileSync(upload!, randomBytes(3_000_001));
  server = await startServer('file-transfer/server.js', '0', { FILE: file! });
  const page = await open();

  const link = page.getByRole('link', { name: 'save file.bin' });
  const [download] = await Promise.all([page.waitForEvent('download'), link.click()]);
  expect(readFileSync(await download.path()).equals(readFileSync(file!))).toBe(true);

  await page.getByLabel('To the server:').setInputFiles(upload!);
  const [saved] = await server.untilPrinted(/^saved 3000001 bytes as (.*)\n/gm);
  const name = saved![1]!;
  expect(readFileSync(name).equals(readFileSync(upload!))).toBe(true);
  expect(await violations(page)).toEqual([]);
  rmSync(folder, { recursive: true });
  rmSync(path.dirname(name), { recursive: true });
});

test('examples/game: players see each other join, move and leave', async () => {
  server = await startServer('game/server.js');
  const one = await open();
  await one.getByText('You are player 1 of 1.').waitFor();
  /** The colour of a pixel that a player in the middle of the world covers. */
  const middle = (): string =>
    [
      ...document.querySelector('canvas')!.getContext('2d')!.getImageData(480, 500, 1, 1).data,
    ].join();
  await one.waitForFunction(`(${middle})() !== '0,0,0,0'`);
  const first = await one.evaluate(middle);

  const two = await open();
  await two.getByText('You are player 2 of 2.').waitFor();
  await one.getByText('Player 2 joined.').waitFor();
  // Player 2 covers player 1 until it moves.
  await one.waitForFunction(`(${middle})() !== '${first}'`);
  await two.keyboard.down('ArrowRight');
  await one.waitForFunction(`(${middle})() === '${first}'`);

  await two.close();
  await one.getByText('Player 2 left.').waitFor();
  expect(await violations(one)).toEqual([]);
});

test('examples/beside-mediasoup: one Device has two pairs of transports, and data passes beside the video', async () => {
  server = await startServer('beside-mediasoup/server.js');
  const [anise, basil, clove] = [await open(), await open(), await open()];
  for (const page of [anise, basil, clove]) {
    await page.locator('[data-state="data recv"]').filter({ hasText: 'connected' }).waitFor();
    await page.locator('video').nth(1).waitFor();
  }

  await say(anise, 'hello');
  await basil.getByText('peer: hello').waitFor();
  await clove.getByText('peer: hello').waitFor();
  expect(await violations(clove)).toEqual([]);
  await say(basil, 'hello, too');
  await anise.getByText('peer: hello, too').waitFor();

  // mediasoup-client also opens connections to learn what the browser can do; these are not negotiated.
  const negotiated = await anise.evaluate(() =>
    connections
      .map(({ remoteDescription }) => remoteDescription?.sdp ?? '')
      .filter((sdp) => sdp !== '')
      .map((sdp) => [/^m=(\w+)/m.exec(sdp)?.[1], /^a=candidate:.* (\d+) typ/m.exec(sdp)?.[1]]),
  );
  const [[video, videoPort] = [], , [data, dataPort] = []] = negotiated;
  expect([video, data]).toEqual(['video', 'application']);
  expect(videoPort).not.toBe(dataPort);
  expect(negotiated).toStrictEqual([
    [video, videoPort],
    [video, videoPort],
    [data, dataPort],
    [data, dataPort],
  ]);

  await basil.close();
  await anise.locator('video').nth(1).waitFor({ state: 'detached' });
  expect(await anise.locator('video').count()).toBe(1);
  expect(await server.stop()).toBe(0);
});
