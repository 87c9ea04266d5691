import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from '../helpers/process';

/** The package as users get it: packed, and installed into an empty folder. */

// The limit is 180 s, because npm downloads another Node.js and another TypeScript.
jest.setTimeout(180_000);

const run = promisify(execFile);

/** The oldest version that README.md and docs/migration.md promise. */
const OLDEST_TYPESCRIPT = '5.0';

let folder: string;
/** What `npm pack` prints. */
let packed: { filename: string; files: { path: string }[] };

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'datasoup-package-'));
  await cp(path.join(__dirname, 'consumer'), folder, { recursive: true });
  await writeFile(path.join(folder, 'package.json'), JSON.stringify({ private: true }));
  // npm must not run `prepack`, which would build the addon again: the addon in native/ is the one under test.
  const { stdout } = await npm(
    ROOT,
    'pack',
    '--json',
    '--ignore-scripts',
    '--pack-destination',
    folder,
  );
  [packed] = JSON.parse(stdout) as [typeof packed];
  await npm(
    folder,
    'install',
    `./${packed.filename}`,
    'node@22',
    'typescript@5',
    `typescript-oldest@npm:typescript@${OLDEST_TYPESCRIPT}`,
    '@types/node@20',
  );
});

afterAll(() => rm(folder, { recursive: true, force: true }));

/** Runs npm as a user would: without the settings of the npm that runs this test. */
function npm(cwd: string, ...args: string[]): Promise<{ stdout: string }> {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(?!config_registry$)/i.test(name)),
  );
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  return run('npm', [...args, ...quiet], { cwd, env, maxBuffer: 2 ** 26 });
}

describe('the tarball', () => {
  const names = (): string[] => packed.files.map((file) => file.path);

  test('contains the code, the addon and the documents, and nothing else', () => {
    expect(names()).toEqual(
      expect.arrayContaining([
        'CHANGELOG.md',
        'LICENSE',
        'README.md',
        'SECURITY.md',
        'docs/ARCHITECTURE.md',
        'index.d.mts',
        'index.d.ts',
        'index.js',
        'index.mjs',
        'lib/index.js',
        'package.json',
        expect.stringMatching(/^native\/datasoup\.[\w-]+\.node$/),
      ]),
    );
    const expected = [
      /^(LICENSE|README\.md|CHANGELOG\.md|SECURITY\.md|package\.json)$/,
      /^index\.(d\.)?m?[jt]s$/,
      /^lib\/[\w/]+\.js$/,
      /^subpaths\/(errors|extras|metrics|types)\.(d\.ts|js)$/,
      /^native\/datasoup\.[\w-]+\.node$/,
      /^docs\/[\w-]+\.md$/,
      /^docs\/decisions\/[\w-]+\.md$/,
      /^docs\/plots\/[\w-]+\.svg$/,
    ];
    expect(names().filter((name) => !expected.some((it) => it.test(name)))).toEqual([]);
  });

  test('contains every page that README.md links to, except CONTRIBUTING.md, examples/ and bench/', async () => {
    const readme = await readFile(path.join(ROOT, 'README.md'), 'utf8');
    const links = [...readme.matchAll(/\]\(([^)#:]+)(?:#[^)]*)?\)/g)].map(([, link = '']) => link);
    expect(links).toContain('docs/ARCHITECTURE.md');

    const dead = links.filter((link) => !names().includes(link));
    expect(dead.filter((link) => !/^(CONTRIBUTING\.md|examples\/|bench\/)/.test(link))).toEqual([]);
  });

  test('installs no dependencies but debug and ms', async () => {
    const { stdout } = await npm(folder, 'ls', '--all', '--json');
    const { dependencies } = JSON.parse(stdout) as Tree;
    const names = (of: Tree): string[] =>
      Object.entries(of.dependencies ?? {})
        // Optional peer dependencies that are not installed have no version.
        .filter(([, below]) => below.version !== undefined)
        .flatMap(([name, below]) => [name, ...names(below)]);
    expect(names(dependencies?.datasoup ?? {})).toEqual(['debug', 'ms']);
  });
});

interface Tree {
  version?: string;
  dependencies?: Record<string, Tree>;
}

/** The Node.js that runs this test, and the next line of long-term support. */
const nodes: [string, () => string][] = [
  [`Node.js ${process.versions.node}`, () => process.execPath],
  ['Node.js 22', () => path.join(folder, 'node_modules/node/bin/node')],
];

describe.each(nodes)('under %s', (title, node) => {
  test('node --version prints that version', async () => {
    const { stdout } = await run(node(), ['--version']);
    expect(`Node.js ${stdout.slice(1)}`).toMatch(title);
  });

  test.each(['require.cjs', 'import.mjs'])('%s runs without a warning', async (script) => {
    await expect(run(node(), [script], { cwd: folder })).resolves.toEqual({
      stdout: 'news: hello 51\n',
      stderr: '',
    });
  });
});

describe('TypeScript', () => {
  const inFolder = (name: string) => (): string => path.join(folder, 'node_modules', name);
  const versions: Record<string, () => string> = {
    [OLDEST_TYPESCRIPT]: inFolder('typescript-oldest'),
    5: inFolder('typescript'),
    7: () => path.join(ROOT, 'node_modules/typescript'),
  };
  const node16 = { module: 'node16', resolution: 'node16' };
  const nodenext = { module: 'nodenext', resolution: 'nodenext' };
  const bundler = { module: 'esnext', resolution: 'bundler', type: 'module' };
  /** What TypeScript 5 calls `node` or `node10`, and 7 does not have. */
  const node10 = [
    { module: 'commonjs', resolution: 'node', type: 'commonjs' },
    { module: 'es2022', resolution: 'node', type: 'module' },
  ];
  const cases = [
    ...[...node10, { ...node16, type: 'module' }, { ...node16, type: 'commonjs' }, bundler].flatMap(
      (options) => [OLDEST_TYPESCRIPT, '5'].map((version) => ({ version, ...options })),
    ),
    { version: '5', ...nodenext, type: 'commonjs' },
    ...['module', 'commonjs'].flatMap((type) =>
      [node16, nodenext].map((options) => ({ version: '7', ...options, type })),
    ),
    { version: '7', ...bundler },
  ];

  test.each(cases)(
    '$version compiles a consumer (module $module, moduleResolution $resolution, type $type), which runs',
    async ({ version, module, resolution, type }) => {
      const project = path.join(folder, `typed-${version}-${module}-${resolution}-${type}`);
      const tsc = path.join(versions[version]!(), 'bin/tsc');
      await mkdir(project);
      await writeFile(path.join(project, 'package.json'), JSON.stringify({ private: true, type }));
      await cp(path.join(folder, 'typed.ts'), path.join(project, 'typed.ts'));
      const options = ['--module', module, '--moduleResolution', resolution, '--target', 'es2022'];
      // There is no skipLibCheck, so that tsc checks our declarations as well.
      await run(process.execPath, [tsc, '--strict', '--types', 'node', ...options, 'typed.ts'], {
        cwd: project,
      }).catch(({ stdout }: { stdout: string }) => {
        throw new Error(stdout);
      });
      const output = await readFile(path.join(project, 'typed.js'), 'utf8');
      expect(output.includes('require(')).toBe(type === 'commonjs');
      const { stdout } = await run(process.execPath, ['typed.js'], { cwd: project });
      expect(stdout).toBe('news: hello 51\n');
    },
  );

  test('compiles the example of docs/howto.md', async () => {
    const howto = await readFile(path.join(ROOT, 'docs/howto.md'), 'utf8');
    const [, example = ''] = /^```ts\n([^]*?)^```$/m.exec(howto) ?? [];
    await writeFile(
      path.join(folder, 'howto.ts'),
      `${example}\nvoid [createWorker, errors, join];`,
    );
    const options = ['--strict', '--noEmit', '--module', 'node16', '--target', 'es2022'];
    const tsc = path.join(folder, 'node_modules/typescript/bin/tsc');
    await run(process.execPath, [tsc, ...options, 'howto.ts'], { cwd: folder }).catch(
      ({ stdout }: { stdout: string }) => {
        throw new Error(stdout);
      },
    );
  });
});

describe('esbuild, as docs/howto.md has it', () => {
  const bundle = (...options: string[]): Promise<unknown> =>
    run(
      path.join(ROOT, 'node_modules/.bin/esbuild'),
      ['import.mjs', '--bundle', '--platform=node', '--format=esm', ...options],
      { cwd: folder },
    );

  test('cannot bundle datasoup', async () => {
    await expect(bundle('--outfile=bundle.mjs')).rejects.toMatchObject({
      stderr: expect.stringContaining('No loader is configured for ".node" files'),
    });
  });

  test.each(['--external:datasoup', '--packages=external'])(
    'with %s makes a bundle that runs',
    async (option) => {
      await bundle('--outfile=bundle.mjs', option);
      const { stdout } = await run(process.execPath, ['bundle.mjs'], { cwd: folder });
      expect(stdout).toBe('news: hello 51\n');
    },
  );
});
