import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { currentPlatform, platforms } from '../../lib/platform';
import { faults, npm, type Packed } from '../../scripts/release/packages';
import { publish } from '../../scripts/release/publish';
import { Registry } from '../../scripts/release/registry';
import { ROOT } from '../helpers/process';

/** Which faults stop a release. */

jest.setTimeout(60_000);

const ADDON = path.join(ROOT, 'native', `datasoup.${currentPlatform}.node`);

describe('a package is at fault', () => {
  const platformFiles = ['LICENSE', 'README.md', 'THIRD-PARTY-LICENSES.txt', 'package.json'];
  const packed = (name: string, changes: Partial<Packed>): Packed => ({
    name: `@datasoup/${name}`,
    file: '',
    size: 1,
    unpackedSize: 1,
    files: [...platformFiles, `datasoup.${name}.node`],
    ...changes,
  });
  const root = (changes: Partial<Packed>): Packed => ({
    ...packed('', {
      files: ['LICENSE', 'README.md', 'CHANGELOG.md', 'package.json', 'lib/native.js'].concat([
        'index.js',
        'index.mjs',
        'index.d.ts',
        'index.d.mts',
      ]),
    }),
    name: 'datasoup',
    ...changes,
  });

  test('but not if it is as released', () => {
    expect(faults(root({}))).toEqual([]);
    expect(faults(packed(currentPlatform, { addon: ADDON }))).toEqual([]);
    for (const platform of platforms) expect(faults(packed(platform, {}))).toEqual([]);
  });

  test('if it has a file too many or too few', () => {
    const { files } = root({});
    const found = faults(root({ files: [...files.slice(1), 'native/datasoup.node'] }));
    expect(found).toEqual(['datasoup lacks LICENSE', 'datasoup has native/datasoup.node']);
    const platform = 'darwin-x64';
    expect(faults(packed(platform, { files: [...platformFiles, '.npmrc'] }))).toEqual([
      '@datasoup/darwin-x64 lacks datasoup.darwin-x64.node',
      '@datasoup/darwin-x64 has .npmrc',
    ]);
  });

  test('if it is too large', () => {
    expect(faults(root({ size: 400_001 }))).toEqual([
      'datasoup is 400001 bytes to download, more than 400000',
    ]);
    expect(faults(packed('darwin-x64', { unpackedSize: 6_500_001 }))).toEqual([
      '@datasoup/darwin-x64 has 6500001 bytes, more than 6500000',
    ]);
  });

  test('if its binary is for another system or processor, or none', () => {
    const here = `${process.platform}-${process.arch}`;
    for (const platform of platforms.filter((it) => !it.startsWith(here))) {
      expect(faults(packed(platform, { addon: ADDON }))).toEqual([`${ADDON} is for ${here}`]);
    }
    const text = path.join(ROOT, 'README.md');
    expect(faults(packed('darwin-x64', { addon: text }))).toEqual([`${text} is for nothing`]);
  });

  test("if its binary needs Visual C++'s run-time library", () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'datasoup-faults-'));
    const addon = path.join(folder, 'addon.node');
    writeFileSync(addon, 'KERNEL32.dll\0VCRUNTIME140_1.dll\0');
    expect(faults(packed('win32-x64-msvc', { addon }))).toContain(
      `${addon} needs VCRUNTIME140_1.dll, which not every Windows has`,
    );
    rmSync(folder, { recursive: true });
  });
});

describe('publish()', () => {
  let folder: string;
  let registry: Registry;

  beforeEach(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'datasoup-publish-'));
    registry = await new Registry().start();
    const token = `${registry.url.replace('http:', '')}/:_authToken=none\n`;
    writeFileSync(path.join(folder, 'npmrc'), token);
  });

  afterEach(() => {
    registry.stop();
    rmSync(folder, { recursive: true });
  });

  /** Packs a package with one file. */
  async function tarball(name: string, text: string): Promise<string> {
    const home = mkdtempSync(path.join(folder, 'package-'));
    writeFileSync(path.join(home, 'package.json'), JSON.stringify({ name, version: '1.2.3' }));
    writeFileSync(path.join(home, 'index.js'), text);
    const [{ filename }] = JSON.parse(
      await npm(['pack', '--json', '--pack-destination', home, home]),
    );
    return path.join(home, filename);
  }

  const run = (files: string[]): Promise<string[]> => {
    const npmOptions = [`--registry=${registry.url}`, `--userconfig=${folder}/npmrc`];
    return publish(files, { tag: 'next', provenance: false, npmOptions });
  };

  test('continues a release that failed halfway, in its order', async () => {
    const files = await Promise.all(
      ['@some/one', '@some/other', 'some'].map((it) => tarball(it, '')),
    );
    registry.add(files[0]!);
    expect(await run(files)).toEqual(['@some/other@1.2.3', 'some@1.2.3']);
    expect(registry.published).toEqual(['@some/one@1.2.3', '@some/other@1.2.3', 'some@1.2.3']);
    expect(await run(files)).toEqual([]);
  });

  test('stops if the registry has the version with other contents', async () => {
    registry.add(await tarball('some', 'before'));
    await expect(run([await tarball('some', 'after'), await tarball('last', '')])).rejects.toThrow(
      'the registry has some@1.2.3 with other contents: release the next version',
    );
    expect(registry.published).toEqual(['some@1.2.3']);
  });
});
