import * as path from 'node:path';
import * as datasoup from '..';
import type { types } from '..';
import { causeWarning } from './helpers/causeWarning';
import './helpers/closeWorkers';
import { runNode } from './helpers/process';
import { NOT_OBJECTS, NOT_STRINGS, notPorts, titled } from './helpers/arguments';

const manifest = require('../package.json') as { name: string; version: string };

afterEach(() => datasoup.setLogEventListeners());

describe('the module', () => {
  test.each([
    'createWorker',
    'observer',
    'version',
    'setLogEventListeners',
    'getSupportedRtpCapabilities',
    'errors',
    'extras',
  ])('has %s', (name) => {
    expect(datasoup).toHaveProperty(name);
  });

  test.each(['workerBin', 'parseScalabilityMode', 'ortc'])('does not have %s', (name) => {
    expect(datasoup).not.toHaveProperty(name);
  });

  test('version is the version of package.json', () => {
    expect(datasoup.version).toBe(manifest.version);
  });

  test('observer emits newworker(worker) in createWorker()', async () => {
    const seen: types.Worker[] = [];
    const listener = (worker: types.Worker): void => void seen.push(worker);
    datasoup.observer.on('newworker', listener);
    const worker = await datasoup.createWorker();
    datasoup.observer.off('newworker', listener);
    expect(seen).toEqual([worker]);
    worker.close();
  });

  test('createWorker() resolves although a newworker listener throws', async () => {
    expect(datasoup.observer).toBeInstanceOf(datasoup.extras.EnhancedEventEmitter);
    const listener = (): void => {
      throw new Error('boom');
    };
    datasoup.observer.on('newworker', listener);
    const worker = await datasoup.createWorker();
    datasoup.observer.off('newworker', listener);
    expect(worker.closed).toBe(false);
    worker.close();
  });

  test.each([{ isLoadedFirst: true }, { isLoadedFirst: false }])(
    'delivers with fake timers (%o)',
    async ({ isLoadedFirst }) => {
      if (!isLoadedFirst) {
        jest.resetModules();
      }
      jest.useFakeTimers();
      try {
        const { createWorker } = isLoadedFirst ? datasoup : (require('..') as typeof datasoup);
        const worker = await createWorker();
        const router = await worker.createRouter();
        const transport = await router.createDirectTransport();
        const dataProducer = await transport.produceData();
        const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
        const received: string[] = [];
        const all = new Promise<void>((resolve) => {
          dataConsumer.on('message', (message) => {
            if (received.push(message.toString()) === 3) resolve();
          });
        });
        ['a', 'b', 'c'].forEach((it) => dataProducer.send(it));
        await all;
        expect(received).toEqual(['a', 'b', 'c']);
        const ended = new Promise((resolve) => worker.on('subprocessclose', resolve as () => void));
        worker.close();
        await ended;
      } finally {
        jest.useRealTimers();
      }
    },
  );

  test('getSupportedRtpCapabilities() returns a new object with empty capabilities on each call', () => {
    const capabilities = datasoup.getSupportedRtpCapabilities();
    expect(capabilities).toEqual({ codecs: [], headerExtensions: [] });
    (capabilities.codecs as unknown[]).push('changed');
    expect(datasoup.getSupportedRtpCapabilities()).toEqual({ codecs: [], headerExtensions: [] });
  });

  test.each(['UnsupportedError', 'WorkerClosedError', 'NotFoundError'] as const)(
    'errors.%s is a subclass of Error with its name and message',
    (name) => {
      const error = new datasoup.errors[name]('what happened');
      expect(error).toBeInstanceOf(Error);
      expect(error).toBeInstanceOf(datasoup.errors[name]);
      expect(error).toMatchObject({ name, message: 'what happened' });
      expect(error.stack).toContain('module.test.ts');
    },
  );

  test('extras has EnhancedEventEmitter and enhancedOnce', () => {
    expect(Object.keys(datasoup.extras).sort()).toEqual(['EnhancedEventEmitter', 'enhancedOnce']);
  });
});

describe('setLogEventListeners()', () => {
  test('setLogEventListeners({ onwarn }) passes the warnings of the library to onwarn', async () => {
    const warnings: [string, string][] = [];
    datasoup.setLogEventListeners({
      onwarn: (namespace, log) => void warnings.push([namespace, log]),
    });
    await causeWarning(datasoup);
    expect(warnings).not.toEqual([]);
    for (const [namespace, log] of warnings) {
      expect(typeof namespace).toBe('string');
      expect(typeof log).toBe('string');
    }
    expect(warnings.some(([namespace]) => namespace.includes('DataProducer'))).toBe(true);
  });

  test('setLogEventListeners({ ondebug }) passes the debug lines of the library to ondebug', async () => {
    const logs: string[] = [];
    datasoup.setLogEventListeners({ ondebug: (namespace) => void logs.push(namespace) });
    await causeWarning(datasoup);
    expect(logs.length).toBeGreaterThan(0);
  });

  test('setLogEventListeners() removes the listeners', async () => {
    const warnings: string[] = [];
    datasoup.setLogEventListeners({ onwarn: (_namespace, log) => void warnings.push(log) });
    datasoup.setLogEventListeners();
    await causeWarning(datasoup);
    expect(warnings).toEqual([]);
  });

  test('setLogEventListeners({ onwarn }) ignores what the listener throws', async () => {
    datasoup.setLogEventListeners({
      onwarn: () => {
        throw new Error('boom');
      },
    });
    await expect(causeWarning(datasoup)).resolves.toBeUndefined();
  });
});

describe('createWorker(settings)', () => {
  test.each([
    ['nothing', undefined],
    ['null', null],
    ['{}', {}],
    ['nulls', { logLevel: null, logTags: null, rtcMinPort: null, rtcMaxPort: null, appData: null }],
    ['NaN as a port', { rtcMinPort: NaN, rtcMaxPort: NaN }],
    [
      'unknown settings',
      { foo: 1, workerBin: '/bin/false', libwebrtcFieldTrials: 'WebRTC-Foo/on/' },
    ],
  ])('accepts %s', async (_title, settings) => {
    const worker = await datasoup.createWorker(settings as types.WorkerSettings);
    expect(worker).toMatchObject({ closed: false, died: false, subprocessClosed: false });
    expect(worker.appData).toEqual({});
    worker.close();
  });

  test('does not change its argument', async () => {
    const settings = Object.freeze({
      logLevel: 'none',
      logTags: Object.freeze(['ice', 'dtls']),
      rtcMinPort: 20_000,
      rtcMaxPort: 29_999,
      appData: Object.freeze({ a: 1 }),
    });
    const worker = await datasoup.createWorker(settings as unknown as types.WorkerSettings);
    expect(worker.appData).toEqual({ a: 1 });
    worker.close();
  });

  test.each(titled<unknown>(['debug', 'warn', 'error', 'none']))(
    'accepts { logLevel: %s }',
    async (_title, logLevel) => {
      const worker = await datasoup.createWorker({ logLevel } as types.WorkerSettings);
      worker.close();
    },
  );

  const NOT_PORTS_OR_NAN = notPorts(0).filter((value) => !Number.isNaN(value));

  const fixture = (name: string): string => path.join(__dirname, 'helpers/fixtures', name);

  test.each(
    titled<object>([
      ...['chicken', '', 5, {}].map((logLevel) => ({ logLevel })),
      ...['ice', 5, {}, [5]].map((logTags) => ({ logTags })),
      ...NOT_PORTS_OR_NAN.map((rtcMinPort) => ({ rtcMinPort })),
      ...NOT_PORTS_OR_NAN.map((rtcMaxPort) => ({ rtcMaxPort })),
      { rtcMinPort: 20_001, rtcMaxPort: 20_000 },
      { rtcMinPort: 60_000 },
      { rtcMaxPort: 9_999 },
      ...NOT_OBJECTS.map((appData) => ({ appData })),
      ...NOT_STRINGS.filter((value) => typeof value !== 'symbol').map((dtlsCertificateFile) => ({
        dtlsCertificateFile,
        dtlsPrivateKeyFile: 'helpers/fixtures/ec-key.pem',
      })),
    ]),
  )('rejects %s with a TypeError', async (_title, settings) => {
    await expect(datasoup.createWorker(settings as types.WorkerSettings)).rejects.toThrow(
      TypeError,
    );
  });

  test.each([
    ['a certificate that cannot be read', 'missing.pem', 'ec-key.pem'],
    ['a key that cannot be read', 'ec-cert.pem', 'missing.pem'],
    ['a file that is not a certificate', 'README.md', 'ec-key.pem'],
    ['a file that is not a key', 'ec-cert.pem', 'README.md'],
    ['certificate and key swapped', 'ec-key.pem', 'ec-cert.pem'],
    ['a key that does not belong to the certificate', 'ec-cert.pem', 'other-ec-key.pem'],
  ])('rejects %s with a TypeError', async (_title, certificate, key) => {
    await expect(
      datasoup.createWorker({
        dtlsCertificateFile: fixture(certificate),
        dtlsPrivateKeyFile: fixture(key),
      }),
    ).rejects.toThrow(TypeError);
  });

  test.each([
    ['dtlsCertificateFile', { dtlsCertificateFile: fixture('ec-cert.pem') }],
    ['dtlsPrivateKeyFile', { dtlsPrivateKeyFile: fixture('ec-key.pem') }],
  ])('rejects %s alone with a TypeError', async (_title, settings) => {
    await expect(datasoup.createWorker(settings)).rejects.toThrow(TypeError);
  });

  test('rejects an RSA certificate with an UnsupportedError that names ECDSA', async () => {
    const rejected = datasoup.createWorker({
      dtlsCertificateFile: fixture('rsa-cert.pem'),
      dtlsPrivateKeyFile: fixture('rsa-key.pem'),
    });
    await expect(rejected).rejects.toThrow(datasoup.errors.UnsupportedError);
    await expect(rejected).rejects.toThrow(/ECDSA/);
  });

  test.each([
    ['PKCS #8', 'ec-cert.pem', 'ec-key.pem'],
    ['SEC 1', 'sec1-cert.pem', 'sec1-key.pem'],
  ])('uses the given certificate with a %s key', async (_title, certificate, key) => {
    const { X509Certificate } = await import('node:crypto');
    const { readFileSync } = await import('node:fs');
    const worker = await datasoup.createWorker({
      dtlsCertificateFile: fixture(certificate),
      dtlsPrivateKeyFile: fixture(key),
    });
    const router = await worker.createRouter();
    const transport = await router.createWebRtcTransport({
      listenInfos: [{ protocol: 'udp', ip: '127.0.0.1' }],
    });
    const x509 = new X509Certificate(readFileSync(fixture(certificate)));
    expect(transport.dtlsParameters.fingerprints).toEqual(
      expect.arrayContaining([
        { algorithm: 'sha-1', value: x509.fingerprint },
        { algorithm: 'sha-256', value: x509.fingerprint256 },
        { algorithm: 'sha-512', value: x509.fingerprint512 },
      ]),
    );
    worker.close();
  });
});

describe('copies of the package in several module registries', () => {
  function load(): typeof datasoup {
    let loaded: typeof datasoup | undefined;
    jest.isolateModules(() => {
      loaded = require('..') as typeof datasoup;
    });
    return loaded!;
  }

  test('each copy has classes and Workers of its own, and all work side by side', async () => {
    const modules = [load(), load(), datasoup];
    expect(new Set(modules.map(({ errors }) => errors.NotFoundError)).size).toBe(3);
    const workers = await Promise.all(modules.map(({ createWorker }) => createWorker()));
    expect(new Set(workers.map(({ pid }) => pid)).size).toBe(3);
    for (const [index, worker] of workers.entries()) {
      const router = await worker.createRouter();
      const transport = await router.createDirectTransport();
      const { NotFoundError } = modules[index]!.errors;
      await expect(
        transport.consumeData({ dataProducerId: '01234567-89ab-cdef-0123-456789abcdef' }),
      ).rejects.toThrow(NotFoundError);
      worker.close();
    }
  });

  test('a copy rejects the objects of another one with a TypeError', async () => {
    const [here, there] = [await datasoup.createWorker(), await load().createWorker()];
    const [router, other] = [await here.createRouter(), await there.createRouter()];
    const listenInfos: types.TransportListenInfo[] = [{ protocol: 'udp', ip: '127.0.0.1' }];
    const webRtcServer = await there.createWebRtcServer({ listenInfos });
    const transport = await router.createDirectTransport();
    const { id: dataProducerId } = await transport.produceData();
    await expect(router.createWebRtcTransport({ webRtcServer })).rejects.toThrow(TypeError);
    await expect(router.pipeToRouter({ dataProducerId, router: other })).rejects.toThrow(TypeError);
    here.close();
    there.close();
  });
});

describe('in a process of its own', () => {
  const CAUSE_WARNING = `require(${JSON.stringify(require.resolve('./helpers/causeWarning'))}).causeWarning(datasoup);`;

  test('require() alone does not keep the process running', async () => {
    const ended = await runNode('console.log(typeof datasoup.createWorker)');
    expect(ended).toEqual({ code: 0, signal: null, stdout: 'function\n', stderr: '' });
  });

  test('DEBUG=datasoup* prints the logs under datasoup and datasoup:WARN:*', async () => {
    const { code, stderr } = await runNode(CAUSE_WARNING, { env: { DEBUG: 'datasoup*' } });
    expect(code).toBe(0);
    expect(stderr).toMatch(/ datasoup:(?!WARN|ERROR)/);
    expect(stderr).toMatch(/ datasoup:WARN:\S*DataProducer/);
  });

  test('DEBUG=datasoup:WARN:* prints only the warnings', async () => {
    const { code, stderr } = await runNode(CAUSE_WARNING, { env: { DEBUG: 'datasoup:WARN:*' } });
    expect(code).toBe(0);
    expect(stderr).toMatch(/ datasoup:WARN:/);
    expect(stderr).not.toMatch(/ datasoup:(?!WARN:)/);
  });

  test('without DEBUG nothing is printed', async () => {
    const ended = await runNode(CAUSE_WARNING, { env: { DEBUG: '' } });
    expect(ended).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  test('import gives the same names as require()', async () => {
    const ended = await runNode(
      `import * as datasoup from 'datasoup';
       import { createWorker, observer, version, errors, extras } from 'datasoup';
       const worker = await createWorker();
       worker.close();
       console.log(JSON.stringify([version, Object.keys(errors).sort(), Object.keys(extras).sort(),
         typeof observer.on, typeof datasoup.setLogEventListeners,
         typeof datasoup.getSupportedRtpCapabilities]));`,
      { args: ['--input-type=module'] },
    );
    expect(ended).toMatchObject({ code: 0, stderr: '' });
    expect(JSON.parse(ended.stdout)).toEqual([
      manifest.version,
      ['NotFoundError', 'UnsupportedError', 'WorkerClosedError'],
      ['EnhancedEventEmitter', 'enhancedOnce'],
      'function',
      'function',
      'function',
    ]);
  });
});
