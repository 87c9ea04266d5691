'use strict';

// Starts Chromium. Plain JavaScript, because a program in robustness/ runs it without a compiler.

const { existsSync } = require('node:fs');

const { chromium } = require('playwright-core');

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

/**
 * Starts a headless Chromium with a new profile. If none is installed, the error says how to install one.
 *
 * @returns {Promise<import('playwright-core').Browser>}
 */
async function launchChromium() {
  if (!existsSync(EXECUTABLE)) {
    throw new Error(
      `No Chromium at ${EXECUTABLE}. Install one (Debian, Ubuntu: apt-get install chromium) ` +
        'or name yours in the environment: CHROMIUM_PATH=/path/to/chrome',
    );
  }

  return await chromium.launch({ executablePath: EXECUTABLE, headless: true, args: FLAGS });
}

exports.launchChromium = launchChromium;
