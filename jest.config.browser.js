'use strict';

/** The tests with a real Chromium (Debian: `apt-get install chromium`, or set CHROMIUM_PATH). */
module.exports = {
  ...require('./jest.config.base.js'),
  testMatch: ['**/__test__/browser/**/*.test.ts'],
  testTimeout: 60_000,
  maxWorkers: 1,
};
