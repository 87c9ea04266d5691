'use strict';

/**
 * A table in Markdown, with aligned columns.
 *
 * @param {string[][]} lines - the first is the head.
 */
function markdown(lines) {
  const widths = lines[0].map((_, column) =>
    Math.max(...lines.map((line) => line[column].length), 3),
  );
  const show = (/** @type {string[]} */ line) =>
    `| ${line.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  const rule = widths.map((width) => '-'.repeat(width));

  return [lines[0], rule, ...lines.slice(1)].map(show).join('\n');
}

exports.markdown = markdown;
