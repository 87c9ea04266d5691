'use strict';

// `datasoup/cluster/redis`.

exports.redisBus = require('../../lib/cluster/redis').redisBus;
