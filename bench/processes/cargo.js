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
 * @param {{ command: string, args: string[], env?: NodeJS.ProcessEnv }} [cargo] - how to build for a platform.
 * @returns {string} the path of the program.
 */
function buildProgram(kind, name, profile, args = [], cargo = { command: 'build', args: [] }) {
  const target = [`--${kind}=${name}`, `--profile=${profile}`, ...args, ...cargo.args];
  const output = execFileSync(
    'cargo',
    [cargo.command, '--locked', '--message-format=json-render-diagnostics', ...target],
    {
      cwd: path.join(__dirname, '../..'),
      encoding: 'utf8',
      env: cargo.env ?? process.env,
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
