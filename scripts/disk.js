'use strict';

// How much room the disk has: the whole check needs several GB, and a full disk fails in strange places.

const fs = require('node:fs');
const path = require('node:path');

/**
 * The free GB of the disk that has this folder, or will have it.
 * @param {string} folder
 * @returns {number}
 */
function freeGB(folder) {
  if (!fs.existsSync(folder)) return freeGB(path.dirname(folder));
  const { bavail, bsize } = fs.statfsSync(folder);
  return (bavail * bsize) / 1e9;
}

exports.freeGB = freeGB;
