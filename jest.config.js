'use strict';

/** Everything but what needs more than the package: `npm run test:browser`, `test:package`, `test:usrsctp`. */
module.exports = {
  ...require('./jest.config.base.js'),
  testPathIgnorePatterns: [
    '/node_modules/',
    '/__test__/browser/',
    '/__test__/package/',
    '/__test__/types/',
    '/__test__/usrsctp/',
  ],
};
