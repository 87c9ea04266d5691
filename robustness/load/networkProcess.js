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

  counts: () => ({ up: countsOf('up'), down: countsOf('down') }),
});

/** @param {import('../../__test__/helpers/BadNetwork').Way} way */
function countsOf(way) {
  return { carried: network.carried[way], lost: network.lost[way].length };
}
