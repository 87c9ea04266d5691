'use strict';

// `datasoup/cluster`. Each name is assigned by itself, so that Node.js finds it for `import { createCluster }`.

exports.createCluster = require('../lib/cluster/Cluster').createCluster;
exports.memoryBus = require('../lib/cluster/memoryBus').memoryBus;
