'use strict';

// What happens to messages while a receiver is busy: the policies of `overflow`. Each receiver asks for its messages one
// by one; the others wait in its DataConsumer. The one with 'block' holds up all, but not for longer than its
// `overflowTimeout`: then it is stalled, and loses messages. file-transfer/ shows 'block' where nothing is lost.

const { once } = require('node:events');
const { setTimeout } = require('node:timers/promises');

const { createWorker } = require('datasoup');

/** @type {import('datasoup').types.DataConsumerOverflow[]} */
const POLICIES = ['drop-newest', 'drop-oldest', 'keep-latest', 'close', 'block'];
/** Three messages of one byte reach the bound: each is charged 64 bytes more. */
const maxBufferedAmount = 3 * 65;
const overflowTimeout = 100;

async function main() {
  const worker = await createWorker();
  const router = await worker.createRouter();
  const transport = await router.createDirectTransport();
  const dataProducer = await transport.produceData({ label: 'digits' });
  const dataConsumers = await Promise.all(
    POLICIES.map((overflow) =>
      transport.consumeData({
        dataProducerId: dataProducer.id,
        overflow,
        maxBufferedAmount,
        ...(overflow === 'block' && { overflowTimeout }),
      }),
    ),
  );
  const stalled = once(dataConsumers[POLICIES.indexOf('block')], 'stalled');
  let ready = () => {};
  const untilReady = new Promise((resolve) => (ready = () => resolve(undefined)));
  const receivers = dataConsumers.map((dataConsumer) => receive(dataConsumer, untilReady));

  // Once this message has drained, all receivers have taken it and are busy.
  dataProducer.send('0');
  await dataProducer.drained();
  for (let digit = 1; digit <= 9; digit++) {
    dataProducer.send(`${digit}`);
  }
  await stalled;
  // What waited for the one that has stalled is on its way to all.
  while ((await received(dataProducer)) < 10) await setTimeout(1);

  for (const [index, stats] of (await Promise.allSettled(dataConsumers.map(dropped))).entries()) {
    console.log(`${POLICIES[index]}: ${stats.status === 'fulfilled' ? stats.value : 'closed'}`);
  }
  ready();
  await dataProducer.drained();

  const [{ messagesReceived }] = await dataProducer.closeWithStats();

  console.log(`${messagesReceived} sent`);
  for (const [index, texts] of (await Promise.all(receivers)).entries()) {
    console.log(`${POLICIES[index]}: ${texts.join(' ')}`);
  }
  worker.close();
}

async function received(dataProducer) {
  const [{ messagesReceived }] = await dataProducer.getStats();

  return messagesReceived;
}

async function dropped(dataConsumer) {
  const [{ messagesDroppedFull, messagesDroppedReplaced }] = await dataConsumer.getStats();

  return `${messagesDroppedFull} dropped, ${messagesDroppedReplaced} replaced`;
}

/** Takes one message, then is busy, then takes the others. The loop ends when the DataConsumer has closed. */
async function receive(dataConsumer, untilReady) {
  const texts = [];

  for await (const { message } of dataConsumer) {
    texts.push(message.toString());
    await untilReady;
  }
  return texts;
}

main();
