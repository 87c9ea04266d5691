'use strict';

/** The packed module, installed into an empty folder. Needs the addon in native/, and a registry. */
module.exports = {
  ...require('./jest.config.base.js'),
  testMatch: ['**/__test__/package/**/*.test.ts'],
  testTimeout: 180_000,
};
