import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { launchChromium } from './chromium';

/** Chromium for the tests of the file that imports `openPage`: its pages close after each test. */

const server = createServer((_request, response) => {
  response.setHeader('content-type', 'text/html; charset=utf-8');
  response.end('<!doctype html><title>datasoup</title>');
});
let browser: Browser;

beforeAll(async () => {
  server.listen(0, '127.0.0.1');
  [browser] = await Promise.all([launchChromium(), once(server, 'listening')]);
});

afterEach(() => Promise.all(browser.contexts().map((context) => context.close())));

afterAll(async () => {
  await browser?.close();
  server.close();
  server.closeAllConnections();
});

/** Opens an empty page, which has an origin. */
export async function openPage(): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  return page;
}
