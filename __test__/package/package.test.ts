import { execFile } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { currentPlatform, platforms } from '../../lib/platform';
import { emptyFolder } from '../../scripts/release/install';
import { npm, npmEnvironment } from '../../scripts/release/packages';
import type { Registry } from '../../scripts/release/registry';
import { ROOT } from '../helpers/process';
import { startRegistry } from '../helpers/releasePackages';

/** The package as users get it: packed for a release, and installed by npm into an empty folder. */

// The limit is 180 s, because npm downloads another Node.js and another TypeScript.
jest.setTimeout(180_000);

const run = promisify(execFile);

/** The oldest version that README.md and docs/migration.md promise. */
const OLDEST_TYPESCRIPT = '5.0';

let folder: string;
let registry: Registry;

beforeAll(async () => {
  folder = emptyFolder();
  await cp(path.join(__dirname, 'consumer'), folder, { recursive: true });
  registry = await startRegistry((await npm(['config', 'get', 'registry'])).trim());
  await npmInFolder(
    'install',
    `--registry=${registry.url}`,
    'datasoup',
    'node@22',
    'typescript@5',
    `typescript-oldest@npm:typescript@${OLDEST_TYPESCRIPT}`,
    '@types/node@20',
    'vite@8',
    'webpack@5',
    'webpack-cli@7',
  );
});

afterAll(async () => {
  registry.stop();
  await rm(folder, { recursive: true, force: true });
});

/** Runs npm as a user would: without the settings of the npm that runs this test. */
function npmInFolder(...args: string[]): Promise<{ stdout: string }> {
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error'];
  return run('npm', [...args, ...quiet], {
    cwd: folder,
    env: npmEnvironment(),
    maxBuffer: 2 ** 26,
  });
}

describe('datasoup', () => {
  const inPackage = (...names: string[]): string =>
    path.join(folder, 'node_modules/datasoup', ...names);

  test('contains every file that its pages link to, except CONTRIBUTING.md and examples/, of README.md', async () => {
    const pages = (await readdir(inPackage(), { recursive: true })).filter((it) =>
      /\.md$/.test(it),
    );
    expect(pages).toEqual(expect.arrayContaining(['README.md', 'docs/security.md']));

    const links: string[] = [];
    for (const page of pages) {
      const text = await readFile(inPackage(page), 'utf8');
      for (const [, link = ''] of text.matchAll(/\]\(([^)#:\s]+)(?:#[^)]*)?\)/g)) {
        links.push(`${page}: ${path.join(path.dirname(page), link)}`);
      }
    }
    expect(links).toContain('README.md: docs/ARCHITECTURE.md');
    const dead = links.filter((it) => !existsSync(inPackage(it.slice(it.indexOf(': ') + 2))));
    expect(dead.filter((it) => !/^README\.md: (CONTRIBUTING\.md|examples\/)/.test(it))).toEqual([]);
  });

  test('installs only debug, ms and the binary of the platform', async () => {
    const { stdout } = await npmInFolder('ls', '--all', '--json');
    const { dependencies } = JSON.parse(stdout) as Tree;
    const names = (of: Tree): string[] =>
      Object.entries(of.dependencies ?? {})
        // Optional packages that are not installed have no version.
        .filter(([, below]) => below.version !== undefined)
        .flatMap(([name, below]) => [name, ...names(below)]);
    expect(names(dependencies?.datasoup ?? {})).toEqual([
      `@datasoup/${currentPlatform}`,
      'debug',
      'ms',
    ]);
  });

  test('has no script, and depends on the binaries of all platforms in its own version', async () => {
    const manifest = JSON.parse(await readFile(inPackage('package.json'), 'utf8'));
    expect(Object.keys(manifest)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(scripts|private|devDependencies|napi)$/)]),
    );
    expect(manifest.optionalDependencies).toEqual(
      Object.fromEntries(platforms.map((it) => [`@datasoup/${it}`, manifest.version])),
    );
    expect(require(path.join(ROOT, 'package.json'))).not.toHaveProperty('optionalDependencies');
  });
});

describe('the package of the platform', () => {
  test('has the licences of aws-lc, of all crates and of Rust itself', async () => {
    const home = path.join(folder, 'node_modules/@datasoup', currentPlatform);
    const text = await readFile(path.join(home, 'THIRD-PARTY-LICENSES.txt'), 'utf8');
    const { stdout } = await run('cargo', ['metadata', '--locked', '--format-version=1'], {
      cwd: ROOT,
      maxBuffer: 2 ** 28,
    });
    const { packages } = JSON.parse(stdout) as { packages: { name: string; version: string }[] };
    for (const name of ['aws-lc-sys', 'sctp-proto', 'dimpl', 'tokio', 'rustc-hash']) {
      const { version } = packages.find((it) => it.name === name)!;
      expect(text).toMatch(RegExp(`^- ${name} ${version.replaceAll('.', '\\.')} .*: .+$`, 'm'));
    }
    expect(text).toContain('AWS Libcrypto (AWS-LC)');
    expect(text).toContain('BoringSSL is a Google-maintained fork of OpenSSL');
    expect(text).toMatch(/^- Rust's standard library: Apache-2\.0 OR MIT$/m);
    expect(text).toContain('END OF TERMS AND CONDITIONS');
  });
});

test('`npm pack` in a clone packs the addon as well, for platforms without a package', async () => {
  const [{ files }] = JSON.parse(await npm(['pack', '--json', '--dry-run', '--ignore-scripts']));
  const names = files.map((file: { path: string }) => file.path);
  expect(names.filter((name: string) => name.startsWith('native/'))).toEqual([
    `native/datasoup.${currentPlatform}.node`,
  ]);
  expect(names).toContain('lib/native.js');
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
  const bundle = async (source: string, format: string, ...options: string[]): Promise<string> => {
    const esbuild = path.join(ROOT, 'node_modules/.bin/esbuild');
    const all = [
      '--bundle',
      '--platform=node',
      `--format=${format}`,
      '--outfile=bundle',
      ...options,
    ];
    const { stderr } = await run(esbuild, [source, ...all], { cwd: folder });
    return stderr;
  };
  const runBundle = (extension: string): Promise<{ stdout: string }> => {
    renameSync(path.join(folder, 'bundle'), path.join(folder, `bundle.${extension}`));
    return run(process.execPath, [`bundle.${extension}`], { cwd: folder });
  };

  test.each(['--external:datasoup', '--packages=external'])(
    'with %s makes a bundle that runs',
    async (option) => {
      await bundle('import.mjs', 'esm', option);
      expect(await runBundle('mjs')).toMatchObject({ stdout: 'news: hello 51\n' });
    },
  );

  test('without, makes a CommonJS bundle that runs where the binary is installed, with warnings', async () => {
    expect(await bundle('require.cjs', 'cjs')).toContain(
      '"@datasoup/linux-x64-gnu" should be marked as external',
    );
    expect(await runBundle('cjs')).toMatchObject({ stdout: 'news: hello 51\n' });
  });

  test('without, makes an ES module that does not run', async () => {
    await bundle('import.mjs', 'esm');
    await expect(runBundle('mjs')).rejects.toMatchObject({
      stderr: expect.stringContaining('Dynamic require of "node:events" is not supported'),
    });
  });
});

describe('Vite and webpack, as docs/howto.md has them', () => {
  /** Runs a bundler of the folder with a config file. */
  const bundle = async (tool: string, config: string, ...args: string[]): Promise<string> => {
    const file = `${tool}.config.mjs`;
    await writeFile(path.join(folder, file), `export default ${config};\n`);
    const { stdout, stderr } = await run(
      path.join(folder, 'node_modules/.bin', tool),
      [...args, '--config', file],
      { cwd: folder },
    ).catch(({ stdout: output }: { stdout: string }) => {
      throw new Error(output);
    });
    expect(stderr).toBe('');
    return stdout;
  };
  const output = { stdout: 'news: hello 51\n', stderr: '' };

  test.each([
    ['{}', 'import.mjs', 'import.mjs'],
    ["{ noExternal: true, external: ['datasoup'] }", 'import.mjs', 'import.mjs'],
    ['{ noExternal: true }', 'require.cjs', 'require.mjs'],
  ])('Vite with ssr: %s makes of %s a bundle that runs', async (ssr, source, name) => {
    const said = await bundle('vite', `{ ssr: ${ssr} }`, 'build', '--outDir=vite', '--ssr', source);
    expect(said).not.toMatch(/datasoup|warn/i);
    expect(await run(process.execPath, [`vite/${name}`], { cwd: folder })).toEqual(output);
  });

  const webpack = (config: string, source: string): Promise<string> =>
    bundle(
      'webpack',
      `{ mode: 'production', target: 'node', ${config} }`,
      '--entry',
      `./${source}`,
      '--output-path=webpack',
    );

  test('webpack without, does not find the binaries of other platforms', async () => {
    await expect(webpack('', 'require.cjs')).rejects.toThrow(
      "Module not found: Error: Can't resolve '@datasoup/",
    );
  });

  test.each([
    ["externalsType: 'commonjs'", 'require.cjs', ''],
    [
      "externalsType: 'module'",
      'bundled.mjs',
      "experiments: { outputModule: true }, output: { module: true, filename: 'main.mjs' },",
    ],
  ])('webpack with externals and %s makes of %s a bundle that runs', async (type, source, more) => {
    await webpack(`${more} externals: /^datasoup($|\\/)/, ${type}`, source);
    const file = more === '' ? 'main.js' : 'main.mjs';
    expect(await run(process.execPath, [`webpack/${file}`], { cwd: folder })).toEqual(output);
  });
});
