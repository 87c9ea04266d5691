'use strict';

// datasoup/metrics with OpenTelemetry. The exporter of this program keeps what it gets; that of a server, such as the
// one of @opentelemetry/exporter-metrics-otlp-http, passes it on to a collector.

const {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} = require('@opentelemetry/sdk-metrics');
const { createWorker } = require('datasoup');
const { openTelemetry } = require('datasoup/metrics');

async function main() {
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
  const reader = new PeriodicExportingMetricReader({ exporter }); // once a minute
  const provider = new MeterProvider({ readers: [reader] });

  openTelemetry({ meter: provider.getMeter('telemetry') });

  // Something to see: ten messages to one DataConsumer.
  const worker = await createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData();

  await transport.consumeData({ dataProducerId: dataProducer.id });
  for (let number = 0; number < 10; number += 1) {
    dataProducer.send(`${number}`);
  }
  await dataProducer.drained();

  await provider.forceFlush(); // rather than wait for the minute
  for (const { scopeMetrics } of exporter.getMetrics()) {
    for (const { descriptor, dataPoints } of scopeMetrics.flatMap(({ metrics }) => metrics)) {
      if (descriptor.name.startsWith('datasoup.messages.')) {
        for (const { value, attributes } of dataPoints.filter(({ value }) => value !== 0)) {
          console.log(descriptor.name, value, attributes);
        }
      }
    }
  }

  worker.close();
  await provider.shutdown();
}

main();
