'use strict';

/** Everything but the tests in a browser and of the packed module: `npm run test:browser`, `npm run test:package`. */
module.exports = {
  ...require('./jest.config.base.js'),
  testPathIgnorePatterns: [
    '/node_modules/',
    '/__test__/browser/',
    '/__test__/package/',
    '/__test__/types/',
  ],
};
