'use strict';

// Node 20 defines these symbols under names in the global registry. The fallback is for vm contexts, such as Jest's,
// which do not have the symbols on `Symbol`.

/** @type {typeof Symbol.dispose} */
exports.dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');

/** @type {typeof Symbol.asyncDispose} */
exports.asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
