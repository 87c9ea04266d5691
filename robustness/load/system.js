'use strict';

// Cores, priorities and memory of processes.

const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');

/**
 * Pins a process and its threads to one core, if there are enough, and sets its niceness.
 *
 * @param {number} pid
 * @param {number} core
 * @param {number} niceness - below 0, if that is allowed, other load disturbs less.
 */
function pin(pid, core, niceness) {
  if (os.cpus().length > core) {
    execFileSync('taskset', ['-acp', `${core}`, `${pid}`], { stdio: 'ignore' });
  }
  for (const thread of fs.readdirSync(`/proc/${pid}/task`)) {
    try {
      os.setPriority(Number(thread), niceness);
    } catch {
      return; // Only root may lower the niceness.
    }
  }
}

/**
 * Lets a process and its threads run only while nothing else wants their core.
 *
 * @param {number} pid
 */
function stepBack(pid) {
  execFileSync('chrt', ['--all-tasks', '--idle', '--pid', '0', `${pid}`], { stdio: 'ignore' });
}

/** The resident memory of a process, in MiB. */
function rss(/** @type {number} */ pid) {
  const [, kib] = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];

  return Number(kib) / 1024;
}

/** Watches the highest resident memory of a process, in MiB. */
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

exports.pin = pin;
exports.rss = rss;
exports.stepBack = stepBack;
exports.watchRss = watchRss;
