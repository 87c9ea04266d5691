'use strict';

// `datasoup/cluster/nats`.

exports.natsBus = require('../../lib/cluster/nats').natsBus;
