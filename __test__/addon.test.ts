import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { ROOT, runProgram } from './helpers/process';

/** What `require('datasoup')` says if the addon is missing or does not load. */

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'datasoup-addon-'));
  for (const name of ['index.js', 'package.json', 'lib', 'native/binding.js']) {
    await cp(path.join(ROOT, name), path.join(folder, name), { recursive: true });
  }
  await symlink(path.join(ROOT, 'node_modules'), path.join(folder, 'node_modules'));
});

afterEach(() => rm(folder, { recursive: true, force: true }));

async function errorOfRequire(): Promise<string> {
  const { code, stderr } = await runProgram(path.relative(ROOT, path.join(folder, 'index.js')));
  expect(code).toBe(1);
  return stderr;
}

test('of a clone without a .node file: to run npm run build', async () => {
  await cp(path.join(ROOT, 'Cargo.toml'), path.join(folder, 'Cargo.toml'));
  const error = await errorOfRequire();
  expect(error).toContain(`there is no .node file in ${path.join(folder, 'native')}`);
  expect(error).toContain(`Run \`npm run build\` in ${folder}`);

  await rm(path.join(folder, 'native'), { recursive: true });
  expect(await errorOfRequire()).toContain(`Run \`npm run build\` in ${folder}`);
});

test('of an installed package without a .node file: to install it again', async () => {
  expect(await errorOfRequire()).toMatch(/no \.node file in .*Install datasoup again/);
});

test('with a .node file that does not load: which one, on which platform, and why', async () => {
  const names = ['gnu', 'musl'].map((libc) => `datasoup.linux-${process.arch}-${libc}.node`);
  for (const name of names) {
    await writeFile(path.join(folder, 'native', name), 'no ELF');
  }
  const error = await errorOfRequire();
  expect(error).toContain(`${names.join(', ')} does not load on linux-${process.arch}: `);
  expect(error).toMatch(/does not load on .*(file too short|invalid ELF header).*Install/);
});
