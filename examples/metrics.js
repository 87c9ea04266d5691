'use strict';

// datasoup/metrics: a server with /metrics for Prometheus. grafana-dashboard.json shows the metrics.
//
//   scrape_configs:
//     - job_name: datasoup
//       static_configs: [{ targets: ['localhost:9464'] }]

const http = require('node:http');

const { createWorker } = require('datasoup');
const { prometheus } = require('datasoup/metrics');
const { register } = require('prom-client');

const { HOST = '127.0.0.1', PORT = 9464 } = process.env;

async function main() {
  prometheus({ registry: register });

  // Something to see: ten messages a second to one DataConsumer.
  const worker = await createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData({ label: 'clock' });

  await transport.consumeData({ dataProducerId: dataProducer.id });
  dataProducer.send(new Date().toISOString());
  setInterval(() => dataProducer.send(new Date().toISOString()), 100);

  const server = http.createServer(async (request, response) => {
    if (request.url !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    try {
      response.setHeader('Content-Type', register.contentType);
      response.end(await register.metrics());
    } catch (error) {
      response.writeHead(500).end(error.message);
    }
  });

  server.listen(Number(PORT), HOST, () => {
    const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());

    console.log(`http://${HOST}:${port}/metrics`);
  });
}

main();
