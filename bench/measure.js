'use strict';

// CPU time and wall-clock time of a load.

const fs = require('node:fs');
const { performance } = require('node:perf_hooks');

const { sum } = require('./statistics');

/**
 * Runs a load and measures it. The CPU time covers all threads of this process and, if workers are processes, theirs.
 *
 * @param {() => Promise<import('./types').Outcome>} load
 * @param {import('./types').WorkerHandle[]} [workers]
 * @returns {Promise<import('./types').Measured>}
 */
async function measure(load, workers = []) {
  global.gc?.();

  const workersBefore = workers.map(cpuOfWorker);
  const before = process.cpuUsage();
  const begin = performance.now();
  const { latencies, ...outcome } = await load();
  const wallMicros = (performance.now() - begin) * 1_000;
  const used = process.cpuUsage(before);
  const ofWorkers = workers.map((worker, index) => {
    const { micros, inside } = cpuOfWorker(worker);

    return { micros: micros - workersBefore[index].micros, inside };
  });
  const outside = sum(ofWorkers.filter(({ inside }) => !inside).map(({ micros }) => micros));

  return {
    wallMicros,
    cpuMicros: used.user + used.system + outside,
    workerMicros: sum(ofWorkers.map(({ micros }) => micros)),
    ...outcome,
    latencies: await (typeof latencies === 'function' ? latencies() : latencies),
  };
}

/**
 * The CPU time of a worker so far: a thread of this process (`inside`) or a process.
 *
 * @param {import('./types').WorkerHandle} worker
 * @returns {{ micros: number, inside: boolean }}
 */
function cpuOfWorker({ pid }) {
  const task = `/proc/self/task/${pid}`;
  const inside = fs.existsSync(task);

  return { micros: inside ? cpuOfTask(task) : cpuOfProcess(pid), inside };
}

/**
 * The CPU time of a process so far, in µs; 0 if /proc does not have it.
 *
 * @param {number} pid
 */
function cpuOfProcess(pid) {
  return sum(tasksOf(pid).map(cpuOfTask));
}

/** @param {number} pid */
function tasksOf(pid) {
  try {
    return fs.readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}`);
  } catch {
    return [];
  }
}

/** @param {string} task */
function cpuOfTask(task) {
  try {
    return Number(fs.readFileSync(`${task}/schedstat`, 'utf8').split(' ')[0]) / 1_000;
  } catch {
    return 0;
  }
}

exports.cpuOfProcess = cpuOfProcess;
exports.cpuOfWorker = cpuOfWorker;
exports.measure = measure;
