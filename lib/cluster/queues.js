'use strict';

// How many bytes may wait on the way from host to host, beside those of the applications' own DataConsumers.

/** The bytes of all messages that wait on one pipe or tunnel. */
const PIPE_QUEUE = 16 * 1024 * 1024;
/** The part of these that one DataProducer may take. */
const QUEUE = 4 * 1024 * 1024;

/** The options of `pipeToRouter()` with which a tunnel holds what a pipe to another host holds. */
const TUNNEL = { sctpSendBufferSize: PIPE_QUEUE, maxBufferedAmount: QUEUE };

module.exports = { PIPE_QUEUE, QUEUE, TUNNEL };
