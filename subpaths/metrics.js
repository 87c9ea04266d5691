'use strict';

// `datasoup/metrics`. Each name is assigned by itself, so that Node.js finds it for `import { prometheus }`.

require('../lib/nodeVersion');

exports.prometheus = require('../lib/metrics/prometheus').prometheus;
exports.openTelemetry = require('../lib/metrics/openTelemetry').openTelemetry;
