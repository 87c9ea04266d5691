'use strict';

// The process of one case: the server of it.

process.once('message', async (/** @type {any} */ { file, impl, name, seconds, rounds }) => {
  const { cases, measureCase } = require(file);
  let result;

  try {
    const found = cases.find((/** @type {{ name: string }} */ each) => each.name === name);
    const api = require(impl);

    result = await measureCase({ ...found, api, seconds, rounds });
  } catch (error) {
    result = { error: error instanceof Error ? error.stack : String(error) };
  }
  process.send?.(result, () => process.exit());
});
