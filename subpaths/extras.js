'use strict';

// `datasoup/extras`. Each name is assigned by itself, so that Node.js finds it for `import { enhancedOnce }`.

const { extras } = require('..');

exports.EnhancedEventEmitter = extras.EnhancedEventEmitter;
exports.enhancedOnce = extras.enhancedOnce;
