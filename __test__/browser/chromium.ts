import { existsSync } from 'node:fs';

import { type Browser, chromium } from 'playwright-core';

// The limit is 60 s, because a browser is slow to start while other tests run.
jest.setTimeout(60_000);

const EXECUTABLE = process.env.CHROMIUM_PATH || '/usr/bin/chromium';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** Starts a headless Chromium with a new profile. If none is installed, the error says how to install one. */
export async function launchChromium(): Promise<Browser> {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(
      `No Chromium at ${EXECUTABLE}. Install one (Debian, Ubuntu: apt-get install chromium) ` +
        'or name yours: CHROMIUM_PATH=/path/to/chrome npm run test:browser',
    );
  }

  return await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
}
