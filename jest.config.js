'use strict';

// `npm test` runs the project `api`; `npm run test:browser`, `test:package`, `test:registry` and `test:usrsctp` run
// those that need more than the package. Without a project, as in `npx jest PATH`, Jest looks through all of them.
// `tsc -p .` checks types.

/** What all projects share. */
const base = {
  testEnvironment: 'node',
  // cargo's output is large and holds nothing for Jest.
  modulePathIgnorePatterns: ['<rootDir>/target/'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
};

/** @param {string} name */
const project = (name) => ({
  ...base,
  displayName: name,
  testMatch: [`<rootDir>/__test__/${name}/**/*.test.ts`],
});

module.exports = {
  testTimeout: 20_000,
  projects: [
    {
      ...base,
      displayName: 'api',
      testMatch: ['<rootDir>/__test__/**/*.test.ts'],
      testPathIgnorePatterns: ['/node_modules/', '/__test__/(?:browser|package|registry|usrsctp)/'],
    },
    // With a real Chromium (Debian: `apt-get install chromium`, or set CHROMIUM_PATH).
    project('browser'),
    // What `node scripts/release.js --dry-run` has packed, installed into empty folders: by npm, for TypeScript and
    // bundlers; by every package manager. They need a registry for these.
    project('package'),
    project('registry'),
    // With usrsctp's own tool, which Debian has in `libusrsctp-examples`.
    project('usrsctp'),
  ],
};
