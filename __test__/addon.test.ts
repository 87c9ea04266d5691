import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmod,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { ROOT } from './helpers/process';

/** The errors of `require('datasoup')` if the addon is missing or unusable, and what must not disturb it. */

const { currentPlatform, platforms } =
  require('../lib/platform') as typeof import('../lib/platform');
const { readBinary } = require('../lib/binary') as typeof import('../lib/binary');
const { version } = require('../package.json') as { version: string };

const ADDON = path.join(ROOT, 'native', `datasoup.${currentPlatform}.node`);
const FOREIGN = platforms.find((it) => it.startsWith('linux') && !it.includes(process.arch))!;
const OTHER_LIBC = platforms.find(
  (it) => it.startsWith(`linux-${process.arch}`) && it !== currentPlatform,
)!;

let base: string;
/** The package as an install leaves it, in a folder with spaces and non-ASCII letters. */
let folder: string;

beforeEach(async () => {
  base = await mkdtemp(path.join(tmpdir(), 'datasoup addon süß 汤-'));
  folder = path.join(base, 'node_modules', 'datasoup');
  for (const name of ['index.js', 'index.mjs', 'package.json', 'lib', 'subpaths']) {
    await cp(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  }
  for (const name of ['debug', 'ms']) {
    await symlink(path.join(ROOT, 'node_modules', name), path.join(base, 'node_modules', name));
  }
});

afterEach(() => rm(base, { recursive: true, force: true }));

const inNative = (name = path.basename(ADDON)): string => path.join(folder, 'native', name);

async function makeClone(): Promise<void> {
  await cp(path.join(ROOT, 'Cargo.toml'), path.join(folder, 'Cargo.toml'));
  await mkdir(path.join(folder, 'native'));
}

/** Puts a package with an addon beside datasoup, and returns the addon's path. */
async function addPackage(platform: string, addon: string | Buffer = ADDON): Promise<string> {
  const name = `datasoup.${platform}.node`;
  const home = path.join(base, 'node_modules', '@datasoup', platform);
  await mkdir(home, { recursive: true });
  await writeFile(path.join(home, 'package.json'), JSON.stringify({ version, main: name }));
  await (typeof addon === 'string'
    ? symlink(addon, path.join(home, name))
    : writeFile(path.join(home, name), addon));
  return path.join(home, name);
}

interface Ended {
  code: number | null;
  signal: string | null;
  stdout: string;
  stderr: string;
}

/** Runs a script of the application that has installed datasoup. */
async function run(script: string, options: object = {}): Promise<Ended> {
  const child = spawn(process.execPath, ['-e', script], { cwd: base, ...options });
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr!.on('data', (data: Buffer) => (stderr += data.toString()));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { code, signal, stdout, stderr };
}

const WORKS = `require('datasoup').createWorker().then((worker) => worker.close(console.log('works')))`;
const worked = { code: 0, signal: null, stdout: 'works\n', stderr: '' };

/** The message of the error that `require()` throws. */
async function refusal(before = '', id = 'datasoup'): Promise<string> {
  const { code, stdout } = await run(
    `${before}; try { require('${id}'); } catch (error) { console.log(error.message); process.exitCode = 7 }`,
  );
  expect(code).toBe(7);
  return stdout.trimEnd();
}

/** A copy of the addon, changed. */
async function changed(change: (bytes: Buffer) => Buffer | void): Promise<Buffer> {
  const bytes = await readFile(ADDON);
  return change(bytes) ?? bytes;
}

const pretend = (name: 'platform' | 'arch', value: string): string =>
  `Object.defineProperty(process, '${name}', { value: '${value}' })`;

describe('loads', () => {
  test("the addon of the platform's package", async () => {
    await addPackage(currentPlatform);
    await addPackage(OTHER_LIBC, Buffer.from('no ELF'));
    expect(await run(WORKS)).toEqual(worked);
  });

  test('the addon in native/ before that of a package', async () => {
    await addPackage(currentPlatform, Buffer.from('no ELF'));
    await mkdir(path.join(folder, 'native'));
    await symlink(ADDON, inNative());
    expect(await run(WORKS)).toEqual(worked);
  });

  test("that of the platform's package, although native/ has one for another platform", async () => {
    await addPackage(currentPlatform);
    await mkdir(path.join(folder, 'native'));
    await writeFile(inNative(`datasoup.${OTHER_LIBC}.node`), 'for another platform');
    expect(await run(WORKS)).toEqual(worked);
  });

  test('from folders that the user may only read', async () => {
    await addPackage(currentPlatform);
    const entries = await readdir(base, { recursive: true, withFileTypes: true });
    for (const it of entries.filter((entry) => entry.isDirectory())) {
      await chmod(path.join(it.parentPath, it.name), 0o555);
    }
    await chmod(base, 0o555);
    // root may write everywhere.
    const user = process.getuid!() === 0 ? { uid: 65534, gid: 65534 } : {};
    const ended = await run(WORKS, { ...user, env: { PATH: process.env.PATH } });
    await chmod(base, 0o755);
    for (const it of entries.filter((entry) => entry.isDirectory())) {
      await chmod(path.join(it.parentPath, it.name), 0o755);
    }
    expect(ended).toEqual(worked);
  });
});

describe('without an addon the error says', () => {
  test('in a clone: to run npm run build', async () => {
    await makeClone();
    const expected = `there is no .node file in ${path.join(folder, 'native')}. Run \`npm run build\` in ${folder}; it needs Rust`;
    expect(await refusal()).toBe(`datasoup is not built: ${expected}`);

    await rm(path.join(folder, 'native'), { recursive: true });
    expect(await refusal()).toContain(expected);
  });

  test('in an install: which package is missing, and which option left it out', async () => {
    expect(await refusal()).toMatch(
      RegExp(`package @datasoup/${currentPlatform} is not installed.*--omit=optional.*lock file`),
    );
  });

  test('on a processor without a package: how to build', async () => {
    expect(await refusal(pretend('arch', 'riscv64'))).toMatch(
      /no binary for linux-riscv64-gnu, only for linux-x64-gnu, .*`npm install && npm pack` in a clone.*Rust/,
    );
  });

  test('on another system: that it cannot be built', async () => {
    const message = await refusal(pretend('platform', 'freebsd'));
    expect(message).toContain(`no binary for freebsd-${process.arch}, only`);
    expect(message).toContain('It cannot be built for other systems');
    expect(message).not.toContain('npm pack');
  });

  test.each([
    ['of another libc', OTHER_LIBC, ''],
    ['of another processor', FOREIGN, ''],
    ['of another system', currentPlatform, pretend('platform', 'darwin')],
  ])('with the package %s: which one, and how to choose', async (_what, installed, before) => {
    await addPackage(installed);
    const here = before ? `darwin-${process.arch}` : currentPlatform;
    const [os, cpu, abi] = here.split('-');
    const libc = abi ? ` --libc=${abi === 'gnu' ? 'glibc' : abi}` : '';
    const message = await refusal(before);
    expect(message).toContain(`datasoup is installed for ${installed}, but this is ${here}: `);
    expect(message).toContain(`\`npm install --os=${os} --cpu=${cpu}${libc}\``);
  });
});

describe('with an unusable addon the error names the file and says that it', () => {
  /** Checks it in the package and in a clone, for which the remedies differ. */
  async function refusals(bytes: Buffer): Promise<void> {
    const file = await addPackage(currentPlatform, bytes);
    messages = [[file, await refusal(), 'Remove node_modules and install again']];
    await makeClone();
    await writeFile(inNative(), bytes);
    messages.push([inNative(), await refusal(), `Run \`npm run build\` in ${folder}`]);
  }
  let messages: [file: string, message: string, remedy: string][];

  test('is for another processor', async () => {
    const other = process.arch === 'x64' ? 'arm64' : 'x64';
    await refusals(
      await changed((bytes) => void bytes.writeUInt16LE(other === 'x64' ? 62 : 183, 18)),
    );
    for (const [file, message, remedy] of messages) {
      const expected = `${file} is for ${other} (ELF), but this Node.js is for ${process.arch} (ELF). ${remedy}`;
      expect(message).toContain(expected);
    }
  });

  test('is truncated, wherever it ends', async () => {
    // Only debuggers need the part behind this.
    const { length } = readBinary(ADDON)!;
    // Mapping bytes that the file lacks would end the process by SIGBUS.
    for (const end of [length - 1, length >> 1, length >> 3, 4096]) {
      await rm(path.join(base, 'node_modules', '@datasoup'), { recursive: true, force: true });
      await rm(path.join(folder, 'native'), { recursive: true, force: true });
      await rm(path.join(folder, 'Cargo.toml'), { force: true });
      await refusals(await changed((bytes) => bytes.subarray(0, end)));
      for (const [file, message, remedy] of messages) {
        expect(message).toContain(`${file} is truncated: it has ${end} of ${length} bytes`);
        expect(message).toContain(remedy);
      }
    }
  });

  /** The least of a library of another system: headers, and a part that it maps, which ends at 4096. */
  const LIBRARIES = {
    win32: (machine: number): Buffer => {
      const bytes = Buffer.alloc(4096);
      bytes.write('MZ');
      bytes.writeUInt32LE(128, 0x3c);
      bytes.write('PE\0\0', 128, 'latin1');
      bytes.writeUInt16LE(machine, 132);
      bytes.writeUInt16LE(1, 134);
      bytes.writeUInt32LE(1024, 152 + 16);
      bytes.writeUInt32LE(3072, 152 + 20);
      return bytes;
    },
    darwin: (cpu: number): Buffer => {
      const bytes = Buffer.alloc(4096);
      const LC_SEGMENT_64 = 0x19;
      [0xfeedfacf, cpu, 0, 6, 1, 72].forEach((it, index) => bytes.writeUInt32LE(it, 4 * index));
      bytes.writeUInt32LE(LC_SEGMENT_64, 32);
      bytes.writeUInt32LE(72, 36);
      bytes.writeBigUInt64LE(3072n, 32 + 40);
      bytes.writeBigUInt64LE(1024n, 32 + 48);
      return bytes;
    },
  };

  test.each([
    ['win32', 'PE', '-msvc', 0x8664, 0xaa64],
    ['darwin', 'Mach-O', '', 0x01000007, 0x0100000c],
  ] as const)(
    'is for another processor, or truncated, on %s',
    async (system, format, abi, x64, arm64) => {
      const before = `${pretend('platform', system)}; ${pretend('arch', 'x64')}`;
      const refused = async (bytes: Buffer): Promise<string> => {
        const file = await addPackage(`${system}-x64${abi}`, bytes);
        return (await refusal(before)).replace(file, 'FILE');
      };
      expect(await refused(LIBRARIES[system](arm64))).toContain(
        `FILE is for arm64 (${format}), but this Node.js is for x64 (${format}). Remove node_modules`,
      );
      const whole = LIBRARIES[system](x64);
      for (const end of [4095, 3072, 512]) {
        expect(await refused(whole.subarray(0, end))).toContain(
          `FILE is truncated: it has ${end} of 4096 bytes. Remove node_modules`,
        );
      }
      // Whole, but nothing that Linux could load.
      expect(await refused(whole)).toContain(`FILE does not load on ${system}-x64${abi}: `);
    },
  );

  test('is for another system', async () => {
    for (const [format, bytes] of [
      ['PE', LIBRARIES.win32(0x8664)],
      ['Mach-O', LIBRARIES.darwin(0x01000007)],
    ] as const) {
      await refusals(bytes);
      for (const [file, message, remedy] of messages) {
        const here = `${process.arch} (ELF)`;
        const expected = `${file} is for x64 (${format}), but this Node.js is for ${here}. ${remedy}`;
        expect(message).toContain(expected);
      }
      await rm(path.join(base, 'node_modules', '@datasoup'), { recursive: true });
      await rm(path.join(folder, 'native'), { recursive: true });
      await rm(path.join(folder, 'Cargo.toml'));
    }
  });

  test.each([
    ['is empty', ''],
    ['ends in its header', '\x7fELF\x02\x01'],
    ['is something else', 'no ELF, but long enough to be taken for a header of one: '.repeat(9)],
  ])('%s, in the words of the system', async (_what, text) => {
    await refusals(Buffer.from(text, 'latin1'));
    for (const [file, message, remedy] of messages) {
      expect(message).toContain(`${file} does not load on ${currentPlatform}: `);
      expect(message).toMatch(/file too short|invalid ELF header/);
      expect(message).toContain(remedy);
    }
  });

  test('is of another version, and both versions', async () => {
    await addPackage(currentPlatform);
    const manifest = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
    const newer = JSON.stringify({ ...manifest, version: '9.8.7' });
    await writeFile(path.join(folder, 'package.json'), newer);
    expect(await refusal()).toMatch(
      RegExp(
        `^datasoup is 9\\.8\\.7, but .*\\.node is ${version.replaceAll('.', '\\.')}\\. Remove`,
      ),
    );

    await makeClone();
    await symlink(ADDON, inNative());
    expect(await refusal()).toContain(`is ${version}. Run \`npm run build\``);
  });

  test('has no version, and so is older', async () => {
    await mkdir(path.join(folder, 'native'));
    await writeFile(inNative(), 'no ELF');
    // Early addons had no version.
    const before = `require('module')._extensions['.node'] = (module) => { module.exports = {} }`;
    expect(await refusal(before)).toMatch(/\.node is of an unknown, older version\. Remove/);
  });
});

test.each(['datasoup', 'datasoup/metrics'])(
  'Node.js 18 is too old for %s, whatever the addon',
  async (id) => {
    const before = `Object.defineProperty(process.versions, 'node', { value: '18.20.8' })`;
    expect(await refusal(before, id)).toBe('datasoup needs Node.js 20 or later; this is 18.20.8');
  },
);

test.each([
  ['20.8.1', '20.8.9', false],
  ['20.9.0', '20.9', true],
  ['20.10.0', '20.9', true],
  ['21.0.0-nightly2023', '20.9', true],
  ['19.99.9', '20', false],
])('Node.js %s with the oldest one %s: accepted %s', async (present, oldest, accepted) => {
  const file = path.join(folder, 'package.json');
  const manifest = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, JSON.stringify({ ...manifest, engines: { node: `>=${oldest}` } }));
  const before = `Object.defineProperty(process.versions, 'node', { value: '${present}' })`;
  const refused = `datasoup needs Node.js ${oldest} or later; this is ${present}`;
  expect((await refusal(before)) === refused).toBe(!accepted);
});

describe('scripts/build.js --if-missing, which `npm install` runs in a clone', () => {
  /** Without Rust, unless PATH has it, so that an attempt to build is an error. */
  async function install(PATH = '/nowhere'): Promise<Ended> {
    await cp(path.join(ROOT, 'scripts'), path.join(folder, 'scripts'), { recursive: true });
    const script = `process.argv.push('build.js', '--if-missing'); require('./node_modules/datasoup/scripts/build.js')`;
    return run(script, { env: { PATH } });
  }
  const builds = {
    code: 1,
    stderr: expect.stringMatching(/^datasoup: cannot build the addon: install Rust .*\n$/),
  };

  beforeEach(makeClone);

  test('does nothing if there is an addon', async () => {
    await symlink(ADDON, inNative());
    expect(await install()).toEqual({ ...worked, stdout: '' });
  });

  test('builds if there is none', async () => {
    expect(await install()).toMatchObject(builds);
  });

  test('builds if it does not load, or is of another version', async () => {
    await writeFile(inNative(), await changed((bytes) => bytes.subarray(0, 4096)));
    expect(await install()).toMatchObject(builds);

    await rm(inNative());
    await symlink(ADDON, inNative());
    const manifest = await readFile(path.join(folder, 'package.json'), 'utf8');
    await writeFile(path.join(folder, 'package.json'), manifest.replace(version, '9.8.7'));
    expect(await install()).toMatchObject(builds);
  });

  test('says that it builds and how long that takes, and builds once', async () => {
    const bin = path.join(base, 'bin');
    const cli = path.join(folder, 'node_modules/@napi-rs/cli/dist/cli.js');
    await Promise.all([mkdir(bin), mkdir(path.dirname(cli), { recursive: true })]);
    for (const name of ['cargo', 'cc']) {
      await writeFile(path.join(bin, name), '#!/bin/sh\n', { mode: 0o755 });
    }
    await writeFile(cli, 'process.exitCode = 1');
    const start = 'datasoup: building the addon; this takes some minutes\n';
    expect(await install(bin)).toEqual({
      code: 1,
      signal: null,
      stdout: '',
      stderr: expect.stringMatching(RegExp(`^${start}datasoup: the build failed after \\d+ s\n$`)),
    });

    await writeFile(cli, `require('fs').copyFileSync('${ADDON}', '${inNative()}')`);
    expect(await install(bin)).toEqual({
      ...worked,
      stdout: '',
      stderr: expect.stringMatching(RegExp(`^${start}datasoup: built the addon in \\d+ s\n$`)),
    });
    expect(await install(bin)).toEqual({ ...worked, stdout: '' });
  });

  test('without the development dependencies says how to get them', async () => {
    await rm(path.join(folder, 'node_modules'), { recursive: true, force: true });
    expect((await install()).stderr).toContain('npm install --include=dev');
  });
});
