'use strict';

// The process of Network (network.js).

const { BadNetwork } = require('../../__test__/helpers/BadNetwork');
const { serve } = require('../../bench/processes/host');

/** @type {BadNetwork} */
let network;

serve({
  async open(transport, conditions, seed) {
    network = await BadNetwork.to(transport, conditions, seed);
    return network.port;
  },

  lost: () => ({ up: network.lost.up.length, down: network.lost.down.length }),
});
