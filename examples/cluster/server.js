'use strict';

// The demo on three processes that share its rooms: `node examples/cluster/server.js`.
//
//   page ── host-1 ═╗
//   page ── host-2 ═╬═ messages: pipes with DTLS, host to host
//   page ── host-3 ═╝
//              └────── who has which DataProducers: the bus, NATS or Redis
//
// This process starts a bus, unless it is given one, and the three hosts (host.js), each with a port of its own for the
// page.

const { fork } = require('node:child_process');
const { randomBytes } = require('node:crypto');
const { once } = require('node:events');
const path = require('node:path');

const { findBus } = require('./bus');

const HOSTS = ['host-1', 'host-2', 'host-3'];

async function main() {
  const bus = await findBus(process.env);
  const port = Number(process.env.PORT || 3000);
  // In a deployment all hosts get the secret from where other secrets are kept.
  const secret = randomBytes(32).toString('base64');
  const hosts = HOSTS.map((name, index) => {
    const host = fork(path.join(__dirname, 'host.js'), {
      env: {
        ...process.env,
        BUS_URL: bus.url,
        CLUSTER_SECRET: secret,
        HOST_NAME: name,
        HOST_NUMBER: `${index}`,
        PORT: `${port === 0 ? 0 : port + index}`,
      },
    });
    host.on('exit', (_code, signal) => {
      if (signal) console.log(`  ${name} was ended by ${signal}. The others go on.`);
      if (hosts.every(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null)) {
        bus.stop();
      }
    });
    return host;
  });

  const stop = () => hosts.forEach((host) => host.kill('SIGTERM'));
  process.once('SIGINT', stop);
  process.once('SIGTERM', stop);

  const urls = await Promise.all(hosts.map(urlOf)).catch((error) => {
    stop();
    throw error;
  });
  console.log(`\n  datasoup on three hosts, over ${bus.name}\n`);
  urls.forEach((url, index) =>
    console.log(`  ${HOSTS[index]}, process ${hosts[index].pid}:  ${url}`),
  );
  console.log(
    '\n  Open each in a tab: all are in one room. Kill a process (kill -9) to see a host die, or end',
  );
  console.log('  it (kill) to see it leave. Ctrl+C stops all.\n');
}

/** The address of a host's page, once it listens. */
async function urlOf(host) {
  const [message] = await Promise.race([once(host, 'message'), once(host, 'exit')]);
  if (!message?.url) throw new Error('a host has ended');

  return message.url;
}

main().catch((error) => {
  console.error(`The example could not start: ${error.message}`);
  process.exitCode = 1;
});
