'use strict';

const { Table } = require('./Table');
const { NotFoundError } = require('./errors');

/** @typedef {Table<string, import('./DataProducer').DataProducer<any>>} DataProducers */

/**
 * The DataProducers of every open Router of the process, by the Router's id.
 *
 * @type {Table<string, DataProducers>}
 */
const byRouter = new Table();

/**
 * Makes the table of a Router's DataProducers.
 *
 * @param {import('./Core').Core<any>} core - of the Router.
 * @param {string} routerId
 * @returns {DataProducers}
 */
function tableOf(core, routerId) {
  /** @type {DataProducers} */
  const dataProducers = new Table();

  byRouter.set(routerId, dataProducers);
  core.onClosed(() => byRouter.take(routerId));
  return dataProducers;
}

/**
 * @param {string} id - of the DataProducer that a Router does not have.
 * @param {string} advice - what to do if another Router has it.
 * @returns {NotFoundError}
 */
function dataProducerNotFound(id, advice) {
  // UUIDs are case-insensitive; the worker writes ids in lower case.
  const elsewhere = byRouter.values().some((dataProducers) => dataProducers.get(id.toLowerCase()));

  return new NotFoundError(
    `DataProducer with id "${id}" ${elsewhere ? `is on another Router: ${advice}` : 'not found'}`,
  );
}

/**
 * @param {string} routerId
 * @param {string} id
 * @returns {import('./DataProducer').DataProducer<any> | undefined}
 */
function dataProducerOf(routerId, id) {
  return byRouter.get(routerId)?.get(id);
}

exports.dataProducerOf = dataProducerOf;
exports.tableOf = tableOf;
exports.dataProducerNotFound = dataProducerNotFound;
