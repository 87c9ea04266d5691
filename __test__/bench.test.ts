import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { ROOT } from './helpers/process';

/**
 * The options of `npm run bench`, on the rows that need no clients. CI runs `npm run bench -- --smoke`, which
 * shows that every row works.
 */

const BENCH = path.join(ROOT, 'bench/index.js');

interface Line {
  name: string;
  error?: string;
  lost: number;
  disordered: number;
  items: number;
  cpuRatio: number;
  reference: { name: string };
}

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'bench-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

async function bench(args: string[], env: Record<string, string> = {}): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [BENCH, ...args], {
    env: { ...process.env, ...env },
  });

  return stdout;
}

test('IMPL=path measures the module at that path', async () => {
  const impl = path.join(folder, 'other.js');
  const used = path.join(folder, 'used');
  writeFileSync(
    impl,
    `require('node:fs').writeFileSync(${JSON.stringify(used)}, 'yes');
     exports.createWorker = require(${JSON.stringify(ROOT)}).createWorker;`,
  );

  const output = await bench(['--smoke', '--json', '--rows=^(direct|ping)'], { IMPL: impl });
  const [machine, ...lines] = output
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

  expect(readFileSync(used, 'utf8')).toBe('yes');
  expect(machine).toMatchObject({ impl, extent: 'smoke', node: process.version });
  expect(lines.map(({ name }: Line) => name).sort()).toEqual([
    'direct-100B',
    'direct-16KB',
    'direct-1KB',
    'direct-to-100',
    'ping-pong',
  ]);
  for (const line of lines as Line[]) {
    expect(line).toMatchObject({ lost: 0, disordered: 0, reference: { name: expect.any(String) } });
    expect(line.error).toBeUndefined();
    expect(line.items).toBeGreaterThan(0);
    expect(line.cpuRatio).toBeGreaterThan(0);
  }
}, 120_000);

test('a message out of order makes the bench exit with 1', async () => {
  const impl = path.join(folder, 'disorderly.js');
  writeFileSync(
    impl,
    `const { EventEmitter } = require('node:events');
     const consumer = new EventEmitter();
     const kept = [];
     const send = (message) => {
       kept.push(Buffer.from(message));
       if (kept.length === 2) {
         kept.reverse().forEach((each) => consumer.emit('message', each));
         kept.length = 0;
       }
     };
     const transport = { produceData: async () => ({ send }), consumeData: async () => consumer };
     const router = { createDirectTransport: async () => transport };
     const worker = { pid: 0, createRouter: async () => router, close() {} };
     exports.createWorker = async () => worker;`,
  );

  await expect(bench(['--smoke', '--rows=^direct-100B$'], { IMPL: impl })).rejects.toMatchObject({
    code: 1,
    stdout: expect.stringMatching(/\| 0, 100 out of order \|/),
  });
}, 120_000);

test('--from prints an earlier measurement, and --plots draws it', async () => {
  const measured = path.join(folder, 'measured.jsonl');
  const plots = path.join(folder, 'plots');
  const figures = { perSecond: 1000, cpu: { median: 8.25, min: 8 }, p50: 50, p99: 90, p999: 95 };
  const line = (name: string, group: object) =>
    JSON.stringify({
      name,
      title: `<${name}>`,
      group,
      ...figures,
      lost: 0,
      cpuRatio: 0.55,
      leastCpuRatio: 0.5,
      reference: { name: 'reference', ...figures },
    });
  writeFileSync(
    measured,
    [
      JSON.stringify({ impl: 'some', cpu: 'of a kind', load: 0.5, ciphers: { client: 'SUITE' } }),
      line('plain', {}),
      line('fan-out-1', { name: 'fan-out', clients: 'light', consumers: 1, size: 100 }),
      line('fan-out-10', { name: 'fan-out', clients: 'light', consumers: 10, size: 100 }),
      line('latency-10', { name: 'latency', path: 'direct → WebRTC', part: 0.1 }),
      line('idle-1000', { name: 'idle', transports: 1000 }),
    ].join('\n'),
  );

  const output = await bench([`--from=${measured}`, `--plots=${plots}`]);

  expect(output).toContain('of a kind');
  expect(output).toContain('DTLS: client SUITE');
  expect(output).toMatch(/<plain> +\| 1,000 +\| 8\.25 \(8\.00\) +\| 50\.0 \/ 90\.0 \/ 95\.0/);
  expect(readdirSync(plots).sort()).toEqual([
    'fan-out-100.svg',
    'idle.svg',
    'latency-webrtc.svg',
    'ratios.svg',
  ]);
  for (const plot of readdirSync(plots)) {
    const svg = readFileSync(path.join(plots, plot), 'utf8');
    expect(svg).toMatch(/^<svg [^>]+>\n<title>/);
    expect(svg).not.toMatch(/NaN|undefined|Infinity/);
  }
});
