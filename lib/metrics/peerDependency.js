'use strict';

/**
 * Loads an optional peer dependency.
 *
 * @param {'prom-client' | '@opentelemetry/api'} name
 * @param {string} option - what the application may give instead.
 * @returns {any}
 */
function peerDependency(name, option) {
  try {
    return require(name);
  } catch (error) {
    throw new Error(
      `no ${option} is given, and the package '${name}' cannot be loaded: npm install ${name}`,
      {
        cause: error,
      },
    );
  }
}

exports.peerDependency = peerDependency;
