'use strict';

/** What both Jest runs share. Types are not checked here but by `tsc -p .`. */
module.exports = {
  testEnvironment: 'node',
  testMatch: ['**/__test__/**/*.test.ts'],
  // cargo's output is large and holds nothing of ours.
  modulePathIgnorePatterns: ['<rootDir>/target/'],
  transform: {
    '\\.ts$': [
      '@swc/jest',
      { jsc: { target: 'es2022', parser: { syntax: 'typescript' } }, module: { type: 'commonjs' } },
    ],
  },
  testTimeout: 20_000,
};
