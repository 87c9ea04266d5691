'use strict';

/**
 * Returns the circles of a graph, each as its sorted members: Tarjan's strongly connected components of
 * more than one member.
 * @param {Map<string, Iterable<string>>} graph
 * @returns {string[][]}
 */
function circles(graph) {
  /** @type {Map<string, { index: number, low: number, open: boolean }>} */
  const seen = new Map();
  /** @type {string[]} */
  const stack = [];
  /** @type {string[][]} */
  const found = [];

  /** @param {string} node */
  const visit = (node) => {
    const own = { index: seen.size, low: seen.size, open: true };
    seen.set(node, own);
    stack.push(node);
    for (const next of graph.get(node) ?? []) {
      const other = seen.get(next) ?? visit(next);
      if (other.open) own.low = Math.min(own.low, other.low);
    }
    if (own.low === own.index) {
      const members = stack.splice(stack.indexOf(node));
      for (const member of members) {
        const it = seen.get(member);
        if (it) it.open = false;
      }
      if (members.length > 1) found.push(members.sort());
    }
    return own;
  };

  for (const node of graph.keys()) {
    if (!seen.has(node)) visit(node);
  }
  return found;
}

module.exports = { circles };
