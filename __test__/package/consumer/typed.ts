// The test compiles this file, once as a CommonJS and once as an ES module, and runs it.

import * as datasoup from 'datasoup';
import { createWorker, type types } from 'datasoup';
import { createCluster, memoryBus, type Cluster } from 'datasoup/cluster';
import { natsBus } from 'datasoup/cluster/nats';
import { redisBus } from 'datasoup/cluster/redis';
import { WorkerClosedError } from 'datasoup/errors';
import { enhancedOnce, EnhancedEventEmitter } from 'datasoup/extras';
import { prometheus, type PrometheusOptions } from 'datasoup/metrics';
import type { DataConsumer, TransportListenInfo } from 'datasoup/types';
import type * as all from 'datasoup/types';

const listenInfo: TransportListenInfo = { protocol: 'udp', ip: '127.0.0.1' };

async function consumerOf(transport: all.Transport, id: string): Promise<DataConsumer> {
  return transport.consumeData({ dataProducerId: id });
}

/** Never called: prom-client is not installed. */
export function monitor(options: PrometheusOptions): void {
  prometheus(options);
}

/** Never called: there is no bus. */
export function cluster(connection: any, client: any): Promise<Cluster>[] {
  return [memoryBus(), natsBus(connection), redisBus(client)].map((bus) =>
    createCluster({ bus, secret: 'x'.repeat(32), listenInfo }),
  );
}

/** Never called: the compiler must reject each of these lines. */
export function rejected(dataProducer: types.DataProducer): void {
  // @ts-expect-error read only
  dataProducer.id = '';
  // @ts-expect-error no such event
  dataProducer.on('message', () => {});
}

async function main(): Promise<void> {
  const worker: types.Worker<{ region: string }> = await createWorker({
    appData: { region: 'eu' },
  });
  const router = await worker.createRouter();
  const plainTransport = await router.createPlainTransport({ listenInfo, enableSctp: true });
  const state: types.SctpState | undefined = plainTransport.sctpState;
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData({ label: 'news', appData: { length: 5 } });
  const dataConsumer = await consumerOf(transport, dataProducer.id);

  const received = enhancedOnce<types.DataConsumerEvents, 'message'>(dataConsumer, 'message');
  const emitter: EnhancedEventEmitter<{ done: [] }> = new EnhancedEventEmitter<{ done: [] }>();

  dataProducer.send('hello'.slice(0, dataProducer.appData.length));
  const [message, ppid] = await received;
  worker.close();
  try {
    await router.dump();
  } catch (error) {
    const closed: WorkerClosedError | undefined =
      error instanceof WorkerClosedError ? error : undefined;
    if (closed instanceof datasoup.errors.WorkerClosedError && state === 'new') {
      emitter.safeEmit('done');
      console.log(`${dataConsumer.label}: ${message} ${ppid}`);
    }
  }
}

main();
