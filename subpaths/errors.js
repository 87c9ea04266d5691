'use strict';

// `datasoup/errors`. Each name is assigned by itself, so that Node.js finds it for `import { NotFoundError }`.

const { errors } = require('..');

exports.UnsupportedError = errors.UnsupportedError;
exports.WorkerClosedError = errors.WorkerClosedError;
exports.NotFoundError = errors.NotFoundError;
