'use strict';

// The process of one case: runs the server and measures.

const { answerOnce } = require('../../bench/processes/runInProcess');

answerOnce(async ({ file, impl, name, seconds, rounds }) => {
  const { cases, measureCase } = require(file);
  const found = cases.find((/** @type {{ name: string }} */ each) => each.name === name);

  return measureCase({ ...found, api: require(impl), seconds, rounds });
});
