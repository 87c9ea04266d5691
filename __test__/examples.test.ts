import { execFile } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import * as path from 'node:path';
import { promisify } from 'node:util';
import { ROOT, runNode } from './helpers/process';

/** The examples end by themselves and print what their comments promise. */

const EXAMPLES = path.join(ROOT, 'examples');
/** Files that the examples share and that are no examples. */
const HELPERS = ['offers.js', 'sdp.js'];
/** Servers that run until they are stopped, with the tests of what they show. */
const SERVERS = ['metrics.js'];

const printed: Record<string, string[]> = {
  'direct.js': [
    'no subscriptions: for all',
    'news: for all',
    'news and sports: for all',
    'news: the election',
    'news and sports: the election',
    'news and sports: the match',
    'no subscriptions: 3 bytes',
    'news: 3 bytes',
    'news and sports: 3 bytes',
    'sent 4 messages, 31 bytes',
  ],
  'in-band.js': [
    'the client opens chat (text)',
    'from the client: hi',
    'from the client: bye',
    'the server opens news (text)',
    'from the server: hello',
  ],
  'late.js': [
    'late: two',
    'late: three',
    'late: four',
    'late: five',
    'ready',
    'not ready: two',
    'not ready: three',
    'not ready: four',
    'not ready: five',
    'late: six',
    'not ready: six',
    'late: seven',
    'not ready: seven',
    'last: seven',
  ],
  'limits.js': ['delivered: fifteen letters', 'closed after 3 messages over the limit'],
  'node-client.js': ['received: hello from Node.js'],
  'pipe-processes.js': ["in process 2, 'chat': hello from another process"],
  'pipe.js': [
    'same id on worker 2: true',
    "in worker 2, 'chat': for all",
    "in worker 2, 'chat': for subchannel 7 only",
    "in worker 2, 'chat': the last one",
    '4 messages crossed the pipe',
    'the DataProducer is closed',
  ],
  'plain.js': [
    'the peer is at 127.0.0.1',
    'from the peer: hello',
    'to the peer on stream 0: you said: hello',
  ],
  'shutdown.js': ['250 messages to each of 50 clients, lost: 0'],
  'slow.js': [
    'drop-newest: 6 dropped, 0 replaced',
    'drop-oldest: 0 dropped, 6 replaced',
    'keep-latest: 0 dropped, 8 replaced',
    'close: closed',
    'block: 6 dropped, 0 replaced',
    '10 sent',
    'drop-newest: 0 1 2 3',
    'drop-oldest: 0 7 8 9',
    'keep-latest: 0 9',
    'close: 0 1 2 3',
    'block: 0 1 2 3',
  ],
  'telemetry.js': [
    'datasoup.messages.received 10 {}',
    "datasoup.messages.sent 10 { source: 'data_producer' }",
  ],
  'webrtc.js': [
    'ICE: udp',
    'DTLS: connecting',
    'DTLS: connected',
    'SCTP: connecting',
    'SCTP: connected',
    'client: you said: hello',
    'SCTP: closed (peer-closed)',
    '0 packets are missing in webrtc.pcapng',
  ],
};

test('every script in examples/ has a test', () => {
  const scripts = readdirSync(EXAMPLES).filter((name) => name.endsWith('.js'));
  expect(scripts.sort()).toEqual([...Object.keys(printed), ...HELPERS, ...SERVERS].sort());
});

test.each(Object.entries(printed))(
  'examples/%s prints its expected lines',
  async (script, lines) => {
    const options = { cwd: EXAMPLES, timeout: 15_000, env: { ...process.env, DEBUG: '' } };
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [script], options);
    expect(stderr).toBe('');
    expect(stdout.trimEnd().split('\n')).toEqual(lines);
  },
);

test('the first example of README.md runs as it is', async () => {
  const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const [, example = ''] = /^```js\n([^]*?)^```$/m.exec(readme) ?? [];

  // The Worker of the example stays open, so the process has to be killed.
  const { stdout, stderr } = await runNode(example, {
    onStdout: (output, kill) => {
      if (output.includes('udpcandidate') && output.includes('news:')) kill();
    },
  });

  expect(stdout).toMatch(/^news: hello 51$/m);
  expect(stdout).toContain('udpcandidate');
  expect(stderr).toBe('');
});
