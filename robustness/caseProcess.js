'use strict';

// The process of one case: the server of it.

const path = require('node:path');

/** @type {Record<string, import('./suite').Suite>} */
const suites = { floods: require('./floods'), slow: require('./slow') };

process.once('message', async (/** @type {any} */ { suite, name, seconds, rounds }) => {
  const { cases, measureCase } = suites[suite];
  let result;

  try {
    const found = cases.find((each) => each.name === name);
    const api = require(path.resolve(__dirname, '..'));

    result = await measureCase({ ...found, api, seconds, rounds });
  } catch (error) {
    result = { error: error instanceof Error ? error.stack : String(error) };
  }
  process.send?.(result, () => process.exit());
});
