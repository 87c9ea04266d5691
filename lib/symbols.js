'use strict';

// Node 20 defines these symbols under names in the global registry; vm contexts do not have them on `Symbol`.

/** @type {typeof Symbol.dispose} */
exports.dispose = Symbol.dispose ?? Symbol.for('nodejs.dispose');

/** @type {typeof Symbol.asyncDispose} */
exports.asyncDispose = Symbol.asyncDispose ?? Symbol.for('nodejs.asyncDispose');
