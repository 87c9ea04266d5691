'use strict';

/** Everything but the browser tests; those are `npm run test:browser`. */
module.exports = {
  ...require('./jest.config.base.js'),
  testPathIgnorePatterns: ['/node_modules/', '/__test__/browser/', '/__test__/types/'],
};
