import { existsSync } from 'node:fs';

import { type Browser, chromium } from 'playwright-core';

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

/** A headless Chromium with a fresh profile. Whoever has none is told how to get it. */
export async function launchChromium(): Promise<Browser> {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(
      `No Chromium at ${EXECUTABLE}. Install one (Debian, Ubuntu: apt-get install chromium) ` +
        'or name yours: CHROMIUM_PATH=/path/to/chrome npm run test:browser',
    );
  }

  return await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
}
