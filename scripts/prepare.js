'use strict';

// Runs after `npm install` in a clone and in an install from git, never in an install of the packed module: builds the
// addon, unless it is there already (`npm run build` builds it anew).

const { spawnSync } = require('node:child_process');
const { existsSync, readdirSync } = require('node:fs');
const { join } = require('node:path');

const native = join(__dirname, '..', 'native');
const built =
  existsSync(join(native, 'binding.js')) &&
  readdirSync(native).some((name) => name.endsWith('.node'));

if (!built) {
  const { status, error } = spawnSync('npm', ['run', 'build'], { stdio: 'inherit', shell: true });

  if (error) {
    throw error;
  }
  process.exitCode = status ?? 1;
}
