import { ROOT, runNode } from './helpers/process';

/** The package in processes, worker_threads and vm contexts. Each test runs a Node.js process. */

const TRAFFIC = `
  async function traffic() {
    const worker = await datasoup.createWorker();
    const router = await worker.createRouter();
    const transport = await router.createDirectTransport();
    const dataProducer = await transport.produceData();
    const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
    return { worker, dataProducer, dataConsumer };
  }`;

test('the process exits by itself after worker.close()', async () => {
  const ended = await runNode(`${TRAFFIC}
    (async () => {
      const { worker, dataProducer, dataConsumer } = await traffic();
      dataConsumer.on('message', () => worker.close());
      worker.on('subprocessclose', () => console.log('subprocessclose'));
      dataProducer.send('x');
    })();`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'subprocessclose\n', stderr: '' });
});

test('the process keeps running while a Worker is open', async () => {
  const ended = await runNode(`
    datasoup.createWorker().then((worker) => {
      // Only the Worker keeps the process running: an unreferenced timer does not.
      setTimeout(() => { console.log('still here'); worker.close(); }, 200).unref();
    });`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'still here\n', stderr: '' });
});

test('a pending call keeps the process running until it is answered', async () => {
  const ended = await runNode(`
    (async () => {
      const worker = await datasoup.createWorker();
      await worker.dump();
      worker.close();
      console.log('answered');
    })();`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'answered\n', stderr: '' });
});

test('process.exit() in a message listener ends the process with traffic in flight', async () => {
  const ended = await runNode(`${TRAFFIC}
    (async () => {
      const { dataProducer, dataConsumer } = await traffic();
      let count = 0;
      dataConsumer.on('message', () => { if (++count === 1000) process.exit(7); });
      for (let number = 0; number < 100000; number++) dataProducer.send('x'.repeat(100));
    })();`);
  expect(ended).toEqual({ code: 7, signal: null, stdout: '', stderr: '' });
});

/** Code that calls process.exit(9) with traffic in flight, by its place. */
const EXITS: Record<string, string> = {
  'the listener of a large message': `
    dataConsumer.on('message', exit);
    dataProducer.send('x'.repeat(200000));`,
  "a listener of observer 'close'": `
    dataConsumer.observer.on('close', exit);
    worker.close();`,
  "a listener of 'transportclose' whose transport closes": `
    dataProducer.on('transportclose', exit);
    transport.close();`,
  "a listener of 'subprocessclose'": `
    worker.on('subprocessclose', exit);
    worker.close();`,
  "a listener of 'died'": `
    worker.on('died', exit);
    require(ROOT + '/lib/Entity').coreOf(worker).native.panicForTests();`,
  'the code that awaits an answer': `
    await router.dump();
    exit();`,
  'a macrotask between a call and its answer': `
    router.createDirectTransport();
    dataProducer.send('x');
    setImmediate(exit);`,
  "a listener of the process's 'exit' that calls everything": `
    process.on('exit', () => {
      dataProducer.send('x');
      dataConsumer.dump().catch(() => {});
      router.createDirectTransport().catch(() => {});
      worker.close();
    });
    exit();`,
};

test.each(Object.entries(EXITS))(
  'process.exit() in %s ends the process with its exit code',
  async (_title, script) => {
    const ended = await runNode(`
    const ROOT = ${JSON.stringify(ROOT)};
    const exit = () => process.exit(9);
    (async () => {
      const worker = await datasoup.createWorker();
      const router = await worker.createRouter();
      const transport = await router.createDirectTransport();
      const dataProducer = await transport.produceData();
      const { id: dataProducerId } = dataProducer;
      const dataConsumer = await transport.consumeData({ dataProducerId });
      const other = await transport.consumeData({ dataProducerId });
      other.on('message', () => {});
      for (let number = 0; number < 1000; number++) dataProducer.send('x'.repeat(100));
      ${script}
    })();`);
    expect(ended).toEqual({ code: 9, signal: null, stdout: '', stderr: '' });
  },
);

test('process.exit() right after createWorker() ends the process with its exit code', async () => {
  const ended = await runNode('void datasoup.createWorker(); process.exit(5);');
  expect(ended).toMatchObject({ code: 5, signal: null });
});

test('an uncaught exception with an open Worker ends the process with code 1', async () => {
  const ended = await runNode(`
    datasoup.createWorker().then(() => { setImmediate(() => { throw new Error('mine'); }); });`);
  expect(ended).toMatchObject({ code: 1, signal: null });
  expect(ended.stderr).toContain('Error: mine');
});

test('a listener that throws does not end the process', async () => {
  const ended = await runNode(`${TRAFFIC}
    (async () => {
      const { worker, dataProducer, dataConsumer } = await traffic();
      dataConsumer.on('message', () => { throw new Error('boom'); });
      dataConsumer.on('listenererror', (name, error) => { console.log(name, error.message); worker.close(); });
      dataProducer.send('x');
    })();`);
  expect(ended).toMatchObject({ code: 0, stdout: 'message boom\n' });
});

test('listeners that throw, including a listenererror listener, do not end the process', async () => {
  const ended = await runNode(`${TRAFFIC}
    process.on('uncaughtException', () => console.log('uncaught'));
    process.on('unhandledRejection', () => console.log('unhandled'));
    const boom = () => { throw new Error('boom'); };
    (async () => {
      const { worker, dataProducer, dataConsumer } = await traffic();
      dataConsumer.on('message', boom);
      dataConsumer.on('transportclose', boom);
      dataConsumer.on('listenererror', boom);
      dataProducer.observer.on('pause', boom);
      worker.observer.on('close', boom);
      worker.on('subprocessclose', boom);
      dataProducer.send('x');
      await dataProducer.pause();
      worker.close();
      console.log(dataConsumer.closed, dataProducer.closed);
    })();`);
  expect(ended).toMatchObject({ code: 0, signal: null, stdout: 'true true\n' });
});

test('what a listener throws is shown on stderr once per object and event, with the object and the stack', async () => {
  const ended = await runNode(`${TRAFFIC}
    (async () => {
      const { worker, dataProducer, dataConsumer } = await traffic();
      console.log(dataConsumer.id, dataProducer.id, worker.pid);
      dataConsumer.on('message', function handleMessage() { throw new TypeError('boom'); });
      dataProducer.observer.on('pause', () => { throw Object.create(null); });
      worker.observer.on('close', () => { throw 'text'; });
      for (let count = 0; count < 100; count++) dataProducer.send('x');
      await dataProducer.pause();
      await dataProducer.resume();
      await dataProducer.pause();
      worker.close();
    })();`);
  expect(ended).toMatchObject({ code: 0, signal: null });
  const [consumer, producer, pid] = ended.stdout.trim().split(' ');
  const warnings = ended.stderr.match(/a listener of .* threw \(/g);
  expect(warnings).toEqual([
    `a listener of 'message' on DataConsumer ${consumer} threw (`,
    `a listener of 'pause' on the observer of DataProducer ${producer} threw (`,
    `a listener of 'close' on the observer of Worker ${pid} threw (`,
  ]);
  expect(ended.stderr).toMatch(/TypeError: boom\n +at DataConsumer.handleMessage/);
  expect(ended.stderr).toContain('[Object: null prototype] {}');
  expect(ended.stderr).toContain("'text'");
});

test('SIGTERM ends a process with an open Worker', async () => {
  const ended = await runNode(
    "datasoup.createWorker().then(() => process.kill(process.pid, 'SIGTERM'));",
  );
  expect(ended).toMatchObject({ code: null, signal: 'SIGTERM' });
});

test('50 concurrent Workers close in reverse order', async () => {
  const ended = await runNode(`
    (async () => {
      const workers = await Promise.all(Array.from({ length: 50 }, () => datasoup.createWorker()));
      await Promise.all(workers.map((worker) => worker.createRouter()));
      for (const worker of workers.reverse()) worker.close();
      console.log(new Set(workers.map(({ pid }) => pid)).size);
    })();`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: '50\n', stderr: '' });
});

const IN_THREADS = `
  const { Worker: Thread } = require('node:worker_threads');
  const { once } = require('node:events');
  const root = ROOT;
  const code = \`
    const { parentPort } = require('node:worker_threads');
    const datasoup = require(\${JSON.stringify(root)});
    (async () => {
      const worker = await datasoup.createWorker();
      const router = await worker.createRouter();
      const transport = await router.createDirectTransport();
      const dataProducer = await transport.produceData();
      const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
      // The traffic also goes through a tunnel to a second Worker, with a bound port and pending calls.
      const far = await datasoup.createWorker();
      const farRouter = await far.createRouter();
      const { pipeDataProducer } = await router.pipeToRouter({ dataProducerId: dataProducer.id, router: farRouter });
      const farTransport = await farRouter.createDirectTransport();
      const farConsumer = await farTransport.consumeData({ dataProducerId: pipeDataProducer.id });
      const listenInfos = [{ protocol: 'udp', ip: '127.0.0.1' }];
      const webRtcTransport = await router.createWebRtcTransport({ listenInfos, enableSctp: true });
      await webRtcTransport.consumeData({ dataProducerId: dataProducer.id });
      let count = 0;
      dataConsumer.on('message', () => {});
      farConsumer.on('message', () => { if (++count === 100) parentPort.postMessage('ready'); });
      const more = () => {
        if (closing) return;
        for (let number = 0; number < 100; number++) dataProducer.send('x'.repeat(100));
        for (const entity of [worker, router, farConsumer]) entity.dump().catch(() => {});
        setImmediate(more);
      };
      let closing = false;
      parentPort.once('message', () => {
        closing = true;
        worker.close();
        far.close();
        parentPort.close();
      });
      more();
    })();
  \`;
  const start = () => new Thread(code, { eval: true });`.replace('ROOT', JSON.stringify(ROOT));

test('worker_threads: each thread that loads the package exits after worker.close()', async () => {
  const ended = await runNode(`${IN_THREADS}
    (async () => {
      const threads = [start(), start(), start()];
      await Promise.all(threads.map((thread) => once(thread, 'message')));
      threads.forEach((thread) => thread.postMessage('close'));
      const codes = await Promise.all(threads.map((thread) => once(thread, 'exit')));
      console.log(codes.flat().join());
    })();`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: '0,0,0\n', stderr: '' });
});

test('worker_threads: terminate() of 50 threads with open Workers leaks nothing, and the main thread keeps working', async () => {
  const ended = await runNode(
    `${IN_THREADS}${TRAFFIC}
    const { readdirSync } = require('node:fs');
    const now = () => ['fd', 'task'].map((of) => readdirSync('/proc/self/' + of).length);
    // Linux lists a thread for an instant after pthread_join() has returned, so only one that stays for 100 ms counts.
    const held = async () => {
      for (let [last, same, tries] = [now(), 0, 0]; ; tries++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
        const next = now();
        same = next.join() === last.join() ? same + 1 : 0;
        if (same === 10 || tries === 1000) return next;
        last = next;
      }
    };
    (async () => {
      const { worker, dataProducer, dataConsumer } = await traffic();
      let before;
      for (let round = 0; round < 50; round += 2) {
        const threads = [start(), start()];
        await Promise.all(threads.map((thread) => once(thread, 'message')));
        const codes = await Promise.all(threads.map((thread) => thread.terminate()));
        if (codes.join() !== '1,1') console.log(codes);
        before ??= await held();
      }
      const [fds, threads] = await held();
      console.log(fds - before[0], threads - before[1]);
      dataProducer.send('still here');
      const [message] = await once(dataConsumer, 'message');
      console.log(message.toString());
      worker.close();
    })();`,
    { patience: 120_000 },
  );
  expect(ended).toEqual({ code: 0, signal: null, stdout: '0 0\nstill here\n', stderr: '' });
}, 130_000);

test('worker_threads: the package loads again after a thread that used it has been terminated', async () => {
  const ended = await runNode(`${IN_THREADS}
    (async () => {
      const first = start();
      await once(first, 'message');
      await first.terminate();
      const second = start();
      await once(second, 'message');
      second.postMessage('close');
      console.log((await once(second, 'exit'))[0]);
    })();`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: '0\n', stderr: '' });
});

test('two copies of the package in one process have classes of their own', async () => {
  const ended = await runNode(`${TRAFFIC}
    (async () => {
      const first = datasoup;
      for (const key of Object.keys(require.cache)) delete require.cache[key];
      const second = require(${JSON.stringify(ROOT)});
      const workers = [await first.createWorker(), await second.createWorker()];
      console.log(first === second);
      for (const [index, { errors }] of [first, second].entries()) {
        const worker = workers[index];
        const router = await worker.createRouter();
        worker.close();
        await router.dump().catch((error) => console.log(error instanceof errors.WorkerClosedError));
      }
    })();`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'false\ntrue\ntrue\n', stderr: '' });
});

test('in a vm context the package throws errors of that realm', async () => {
  const ended = await runNode(`
    const vm = require('node:vm');
    const { createRequire } = require('node:module');
    const { readFileSync } = require('node:fs');
    const path = require('node:path');
    const root = ${JSON.stringify(ROOT)};
    // A CommonJS loader like those of test runners: it runs the package's files in a realm of its own.
    const context = vm.createContext({ ...globalThis, Buffer, process, console, setImmediate, setTimeout, clearTimeout, queueMicrotask });
    const cache = new Map();
    const load = (file) => {
      if (cache.has(file)) return cache.get(file).exports;
      const module = { exports: {} };
      cache.set(file, module);
      const outer = createRequire(file);
      const inner = Object.assign((id) => {
        const resolved = outer.resolve(id);
        return path.isAbsolute(resolved) && resolved.endsWith('.js') && resolved.startsWith(root) && !resolved.includes('node_modules')
          ? load(resolved)
          : outer(resolved);
      }, { resolve: outer.resolve });
      vm.runInContext('(function (exports, require, module, __filename, __dirname) {' + readFileSync(file, 'utf8') + '\\n})', context)
        .call(module.exports, module.exports, inner, module, file, path.dirname(file));
      return module.exports;
    };
    (async () => {
      const inner = load(path.join(root, 'index.js'));
      const InnerTypeError = vm.runInContext('TypeError', context);
      const worker = await inner.createWorker();
      await worker.createRouter({ appData: 5 }).catch((error) => console.log(error instanceof InnerTypeError));
      const router = await worker.createRouter();
      const transport = await router.createDirectTransport();
      const dataProducer = await transport.produceData();
      const dataConsumer = await transport.consumeData({ dataProducerId: dataProducer.id });
      dataConsumer.on('message', (message) => { console.log(message.toString(), Buffer.isBuffer(message)); worker.close(); });
      dataProducer.send(Buffer.from('realm'));
    })();`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: 'true\nrealm true\n', stderr: '' });
});

test('an open Worker without references is not garbage-collected', async () => {
  const ended = await runNode(
    `${TRAFFIC}
    (async () => {
      const { dataProducer, dataConsumer } = await traffic();
      const worker = undefined;
      for (let round = 0; round < 10; round++) { gc(); await new Promise(setImmediate); }
      dataConsumer.on('message', () => { console.log('message'); process.exit(0); });
      dataProducer.send('x');
    })();`,
    { args: ['--expose-gc'] },
  );
  expect(ended).toMatchObject({ code: 0, signal: null, stdout: 'message\n' });
});

test('a Worker whose thread panics emits died and logs an error, and writes nothing to stderr', async () => {
  const ended = await runNode(
    `
    const { coreOf } = require(${JSON.stringify(ROOT)} + '/lib/Entity');
    datasoup.setLogEventListeners({ onerror: (_namespace, line) => console.log('error:', line) });
    datasoup.createWorker().then((worker) => {
      worker.on('died', ({ message }) => console.log('died:', message));
      coreOf(worker).native.panicForTests();
    });`,
    { env: { RUST_BACKTRACE: '0' } },
  );
  expect(ended).toMatchObject({ code: 0, signal: null, stderr: '' });
  expect(ended.stdout).toMatch(/^error: .*panic for tests.*\ndied: .*panic for tests.*\n$/);
});

test('1,000 Routers with transports open and close and leave nothing in worker.dump()', async () => {
  const ended = await runNode(`
    (async () => {
      const worker = await datasoup.createWorker();
      for (let round = 0; round < 100; round++) {
        const routers = await Promise.all(Array.from({ length: 10 }, () => worker.createRouter()));
        await Promise.all(routers.map(async (router) => {
          const transport = await router.createDirectTransport();
          const dataProducer = await transport.produceData();
          await transport.consumeData({ dataProducerId: dataProducer.id });
        }));
        routers.forEach((router) => router.close());
      }
      const { routerIds } = await worker.dump();
      console.log(routerIds.length);
      worker.close();
    })();`);
  expect(ended).toEqual({ code: 0, signal: null, stdout: '0\n', stderr: '' });
});
