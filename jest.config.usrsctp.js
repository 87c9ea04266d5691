'use strict';

/** The tests with usrsctp's own tool, which Debian has in `libusrsctp-examples`: `npm run test:usrsctp`. */
module.exports = {
  ...require('./jest.config.base.js'),
  testMatch: ['**/__test__/usrsctp/**/*.test.ts'],
};
