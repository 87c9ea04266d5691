'use strict';

// What has come from one host to another, and which promises that breaks.

/**
 * @typedef {object} Stream
 * @property {string} from - a host.
 * @property {string} to
 * @property {number} repeated - messages that came twice or after a later one.
 * @property {number} missing - gaps between messages of a DataConsumer.
 * @property {number} reported - the sum of 'missed' events.
 * @property {boolean} closed - whether a DataConsumer of a DataProducer that is open has closed.
 */

/**
 * @param {Stream[]} streams
 * @param {{ unharmed?: string, unreported?: boolean }} expected - `unharmed`: groups of hosts, one letter each, whose
 * members lose nothing of each other. `unreported`: whether messages may be lost without 'missed'.
 * @returns {string[]}
 */
function broken(streams, { unharmed = '', unreported = false }) {
  const groups = unharmed.split(' ');

  return streams.flatMap(({ from, to, repeated, missing, reported, closed }) => {
    const calm = groups.some((group) => group.includes(from) && group.includes(to));
    const found = [
      repeated > 0 && `${repeated} messages twice or out of order`,
      !unreported && missing > reported && `${missing} messages lost, ${reported} reported`,
      calm && missing > 0 && `${missing} messages lost`,
      calm && closed && 'a DataConsumer has closed',
    ];

    return found.filter((what) => what !== false).map((what) => `${from} to ${to}: ${what}`);
  });
}

exports.broken = broken;
