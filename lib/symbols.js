'use strict';

// In Node 20 these are Node's own, under names in the global registry, and vm contexts do not have them on `Symbol`.

/** @type {typeof Symbol.dispose} */
exports.dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');

/** @type {typeof Symbol.asyncDispose} */
exports.asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
