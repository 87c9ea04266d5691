'use strict';

// What the system does with processes and says of them.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');

/**
 * Keeps a process and its threads on one core, where there are two or more, and says how nice it is.
 *
 * @param {number} pid
 * @param {number} core
 * @param {number} niceness - below 0 where that is allowed, so that what else the machine does disturbs less.
 */
function pin(pid, core, niceness) {
  if (os.cpus().length > core) {
    execFileSync('taskset', ['-acp', `${core}`, `${pid}`], { stdio: 'ignore' });
  }
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    try {
      os.setPriority(Number(thread), niceness);
    } catch {
      return; // Only root may be less nice than others.
    }
  }
}

/** The resident memory of a process, in MiB. */
function rss(/** @type {number} */ pid) {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];

  return Number(kib) / 1024;
}

/** Notes the highest resident memory of a process, in MiB. */
function watchRss(/** @type {number} */ pid) {
  let highest = rss(pid);
  const timer = setInterval(() => (highest = Math.max(highest, rss(pid))), 50);

  return {
    highest() {
      clearInterval(timer);
      return Math.max(highest, rss(pid));
    },
  };
}

module.exports = { pin, rss, watchRss };
