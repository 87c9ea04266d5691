import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import {
  bareEnvironment,
  emptyFolder,
  readmeExample,
  runExample,
} from '../../scripts/release/install';
import type { Registry } from '../../scripts/release/registry';
import { currentPlatform, platforms } from '../../lib/platform';
import { ROOT } from '../helpers/process';
import { runBare, startRegistry } from '../helpers/releasePackages';

/**
 * `install datasoup` by every package manager, from a registry on loopback that has only the packages of the release
 * and their dependencies, in a folder without Rust, C and native addons.
 */

jest.setTimeout(180_000);

/** The package managers, and versions of Node.js. They stay in target/tools. */
const TOOLS = path.join(ROOT, 'target/tools/managers');
const SPECS = ['pnpm@12', 'yarn@1', '@yarnpkg/cli-dist@4', 'bun@1', 'deno@2'].concat(
  ['14', '22', '24', '26'].map((version) => `node${version}@npm:node@${version}`),
);

let registry: Registry;
let folder: string;

const tool = (name: string): string => path.join(TOOLS, 'node_modules', name);
const nodeOf = (version: string): string => tool(`node${version}/bin/node`);

beforeAll(async () => {
  if (!existsSync(nodeOf('26'))) {
    mkdirSync(TOOLS, { recursive: true });
    writeFileSync(path.join(TOOLS, 'package.json'), '{ "private": true }');
    const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
    await promisify(execFile)('npm', ['install', ...quiet, ...SPECS], { cwd: TOOLS });
  }
  registry = await startRegistry();
});

afterAll(() => registry.stop());

beforeEach(() => {
  folder = emptyFolder();
  writeFileSync(path.join(folder, '.npmrc'), `registry=${registry.url}\n`);
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

const npmInstall = (...args: string[]): Promise<unknown> =>
  runBare(folder, 'npm', [
    'install',
    'datasoup',
    `--cache=${folder}/.cache`,
    '--no-audit',
    '--no-fund',
    ...args,
  ]);

const runExampleBare = (
  program: string,
  args: string[],
  env: Record<string, string> = {},
): Promise<void> =>
  runExample(program, args, { cwd: folder, env: { ...bareEnvironment(folder), ...env } });

/** The packages with a binary that an install left. */
function binaries(): string[] {
  const scope = path.join(folder, 'node_modules/@datasoup');
  return existsSync(scope) ? readdirSync(scope) : [];
}

interface Manager {
  /** Program and arguments of an install. */
  install: [string, ...string[]];
  env?: () => Record<string, string>;
  /** Program and arguments that run a file; Node.js if they are missing. */
  run?: [string, ...string[]];
}

const berry = (linker: string): Manager => ({
  install: [process.execPath, tool('@yarnpkg/cli-dist/bin/yarn.js'), 'add', 'datasoup'],
  run: [process.execPath, tool('@yarnpkg/cli-dist/bin/yarn.js'), 'node'],
  env: () => ({
    YARN_NPM_REGISTRY_SERVER: registry.url,
    YARN_UNSAFE_HTTP_WHITELIST: '127.0.0.1',
    YARN_NODE_LINKER: linker,
    YARN_GLOBAL_FOLDER: path.join(folder, '.yarn-global'),
    YARN_ENABLE_TELEMETRY: '0',
  }),
});

const managers: Record<string, Manager> = {
  npm: { install: ['npm', 'install', 'datasoup', '--no-audit', '--no-fund'] },
  pnpm: {
    install: [tool('.bin/pnpm'), 'add', 'datasoup', '--store-dir=.store'],
  },
  'Yarn 1': {
    install: [
      process.execPath,
      tool('yarn/bin/yarn.js'),
      'add',
      'datasoup',
      '--cache-folder=.cache',
    ],
  },
  'Yarn 4 with node_modules': berry('node-modules'),
  "Yarn 4 with Plug'n'Play": berry('pnp'),
  Bun: {
    install: [tool('.bin/bun'), 'add', 'datasoup'],
    run: [tool('.bin/bun')],
    env: () => ({ BUN_INSTALL_CACHE_DIR: path.join(folder, '.cache') }),
  },
  Deno: {
    install: [tool('.bin/deno'), 'add', 'npm:datasoup'],
    run: [tool('.bin/deno'), 'run', '--allow-all'],
    env: () => ({ DENO_DIR: path.join(folder, '.cache'), DENO_NO_UPDATE_CHECK: '1' }),
  },
};

test.each(Object.entries(managers))(
  '%s installs datasoup, and its example runs',
  async (name, manager) => {
    const {
      install: [program, ...args],
      run = [process.execPath],
      env = () => ({}),
    } = manager;
    const environment = {
      npm_config_cache: path.join(folder, '.cache'),
      HOME: folder,
      ...env(),
    };
    const start = Date.now();
    await runBare(folder, program, args, environment);
    console.log(`${name}: ${((Date.now() - start) / 1000).toFixed(1)} s`);

    const [runtime, ...before] = run as [string, ...string[]];
    writeFileSync(path.join(folder, 'example.cjs'), readmeExample());
    await runExampleBare(runtime, [...before, 'example.cjs'], environment);
  },
);

describe('installed by npm', () => {
  const CASES = [
    ['require()', 'example.cjs', (example: string) => example],
    [
      'import',
      'example.mjs',
      (example: string) => example.replace(/^const (.*) = require\((.*)\);/m, 'import $1 from $2;'),
    ],
  ] as const;

  test('the example runs by require() and import under Node.js 22, 24 and 26, Bun and Deno', async () => {
    await npmInstall();
    const runtimes: [string, ...string[]][] = [
      ...['22', '24', '26'].map((version): [string] => [nodeOf(version)]),
      [tool('.bin/bun')],
      // No more than an application with datasoup needs.
      [
        tool('.bin/deno'),
        'run',
        '--no-prompt',
        '--allow-ffi',
        '--allow-read',
        '--allow-env',
        '--allow-sys',
      ],
    ];
    for (const [, file, change] of CASES) {
      writeFileSync(path.join(folder, file), change(readmeExample()));
      for (const [runtime, ...args] of runtimes) {
        await runExampleBare(runtime, [...args, file]);
      }
    }
  });

  test('Node.js 14 is too old, by require() and by import', async () => {
    await npmInstall();
    const says = {
      stderr: expect.stringMatching(/datasoup needs Node\.js 20 or later; this is 14\./),
    };
    const script = `require('datasoup')`;
    await expect(runBare(folder, nodeOf('14'), ['-e', script])).rejects.toMatchObject(says);
    const module = ['--input-type=module', '-e', `import 'datasoup'`];
    await expect(runBare(folder, nodeOf('14'), module)).rejects.toMatchObject(says);
  });

  test('there is one binary, and no script ran', async () => {
    await npmInstall('--foreground-scripts');
    expect(binaries()).toEqual([currentPlatform]);
    expect(readdirSync(path.join(folder, 'node_modules')).sort()).toEqual(
      ['.package-lock.json', '@datasoup', 'datasoup', 'debug', 'ms'].sort(),
    );
    const { scripts } = require(path.join(folder, 'node_modules/datasoup/package.json'));
    expect(scripts).toBeUndefined();
  });

  test.each(['--omit=optional', '--no-optional'])(
    'with %s, the error names the package and the option',
    async (option) => {
      await npmInstall(option);
      expect(binaries()).toEqual([]);
      await expect(
        runBare(folder, process.execPath, ['-e', `require('datasoup')`]),
      ).rejects.toMatchObject({
        stderr: expect.stringMatching(
          RegExp(`package @datasoup/${currentPlatform} is not installed.*--omit=optional`),
        ),
      });
    },
  );

  test.each(platforms)('--os, --cpu and --libc choose %s', async (platform) => {
    const [os, cpu, abi] = platform.split('-');
    const libc = os === 'linux' ? [`--libc=${abi === 'gnu' ? 'glibc' : abi}`] : [];
    await npmInstall(`--os=${os}`, `--cpu=${cpu}`, ...libc);
    expect(binaries()).toEqual([platform]);

    if (platform !== currentPlatform) {
      await expect(
        runBare(folder, process.execPath, ['-e', `require('datasoup')`]),
      ).rejects.toMatchObject({
        stderr: expect.stringContaining(
          `datasoup is installed for ${platform}, but this is ${currentPlatform}`,
        ),
      });
    }
  });
});

test('the programs of a bare environment have no cargo and no C compiler', async () => {
  for (const name of ['cargo', 'cc', 'gcc', 'clang']) {
    await expect(runBare(folder, 'sh', ['-c', `command -v ${name}`])).rejects.toMatchObject({
      stdout: '',
    });
  }
});

test.each([
  ['Bun', tool('.bin/bun'), []],
  ['Deno', tool('.bin/deno'), ['run', '--no-prompt', '--allow-all']],
])('%s imports a clone', async (_name, runtime, args) => {
  const example = readmeExample().replace(`require('datasoup')`, `require('${ROOT}')`);
  writeFileSync(path.join(folder, 'example.cjs'), example);
  await runExampleBare(runtime, [...args, 'example.cjs']);
  const script = `import { version } from '${ROOT}/index.mjs'; console.log(version);`;
  writeFileSync(path.join(folder, 'import.mjs'), script);
  const { stdout } = await runBare(folder, runtime, [...args, 'import.mjs']);
  expect(stdout).toBe(`${require(path.join(ROOT, 'package.json')).version}\n`);
});
