'use strict';

const { execFileSync } = require('node:child_process');
const path = require('node:path');

/**
 * Builds an example or a bench of Cargo, unless it is up to date. Cargo's progress goes to stderr, as a build may take
 * minutes.
 *
 * @param {'example' | 'bench'} kind
 * @param {string} name
 * @param {string} profile
 * @param {string[]} [args]
 * @returns {string} the path of the program.
 */
function buildProgram(kind, name, profile, args = []) {
  const target = [`--${kind}=${name}`, `--profile=${profile}`, ...args];
  const output = execFileSync(
    'cargo',
    ['build', '--locked', '--message-format=json-render-diagnostics', ...target],
    {
      cwd: path.join(__dirname, '../..'),
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const artifacts = output.split('\n').filter((line) => line.includes('"executable"'));

  return artifacts
    .map((line) => JSON.parse(line))
    .find((artifact) => artifact.executable && artifact.target.name === name).executable;
}

exports.buildProgram = buildProgram;
