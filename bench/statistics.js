'use strict';

/** @param {number[]} values */
function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

/**
 * The value below which the given part of all values lies.
 *
 * @param {ArrayLike<number>} values
 * @param {number} part - 0 to 1; 0.5 is the median.
 */
function quantile(values, part) {
  const sorted = Float64Array.from(values).sort();

  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))];
}

/** @param {ArrayLike<number>} values */
function median(values) {
  return quantile(values, 0.5);
}

exports.median = median;
exports.quantile = quantile;
exports.sum = sum;
