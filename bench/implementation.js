'use strict';

const path = require('node:path');

/** The path of the module under test: `IMPL`, or this package. */
exports.IMPL = path.resolve(process.env.IMPL ?? path.join(__dirname, '..'));
