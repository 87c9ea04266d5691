'use strict';

// A registry of npm packages on loopback, in memory: packages that are published to it can be installed from it. It
// supports only what npm, pnpm, Yarn, Bun and Deno ask for.

const { execFileSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { once } = require('node:events');
const { readFileSync } = require('node:fs');
const http = require('node:http');
const path = require('node:path');

/**
 * @typedef {object} Packument
 * @property {string} name
 * @property {Record<string, string>} dist-tags
 * @property {Record<string, any>} versions
 * @property {Record<string, string>} time
 */

/** Package managers may ignore versions that were published in the last days. */
const LONG_AGO = new Date(0).toISOString();

class Registry {
  /** @type {Map<string, Packument>} */
  #packuments = new Map();
  /** @type {Map<string, Buffer>} */
  #tarballs = new Map();
  #server = http.createServer((request, response) => {
    this.#answer(request, response).catch((error) => response.writeHead(500).end(`${error}`));
  });
  #upstream;

  /** Names with versions, in the order in which they were published. @type {string[]} */
  published = [];

  /** @param {{ upstream?: string }} [options] `upstream` is the registry of the packages that this one lacks. */
  constructor({ upstream } = {}) {
    this.#upstream = upstream?.replace(/\/$/, '');
  }

  async start() {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  stop() {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  get url() {
    const { port } = /** @type {import('node:net').AddressInfo} */ (this.#server.address());

    return `http://127.0.0.1:${port}`;
  }

  /** Adds a package from its tarball. @param {string} file */
  add(file) {
    const manifest = execFileSync('tar', ['-xzOf', file, 'package/package.json']);

    this.#publish(JSON.parse(manifest.toString()), 'latest', readFileSync(file));
  }

  /**
   * @param {any} manifest
   * @param {string} tag
   * @param {Buffer} tarball
   */
  #publish(manifest, tag, tarball) {
    const { name, version } = manifest;
    const file = `${name}-${version}.tgz`;
    const hash = (/** @type {string} */ algorithm) => createHash(algorithm).update(tarball);
    /** @type {Packument} */
    const packument = this.#packuments.get(name) ?? {
      name,
      'dist-tags': {},
      versions: {},
      time: {},
    };

    packument.versions[version] = {
      ...manifest,
      dist: {
        tarball: `${this.url}/-/${file}`,
        integrity: `sha512-${hash('sha512').digest('base64')}`,
        shasum: hash('sha1').digest('hex'),
      },
    };
    packument['dist-tags'][tag] = version;
    packument.time[version] = LONG_AGO;
    this.#packuments.set(name, packument);
    this.#tarballs.set(file, tarball);
    this.published.push(`${name}@${version}`);
  }

  /**
   * @param {http.IncomingMessage} request
   * @param {http.ServerResponse} response
   */
  async #answer(request, response) {
    const [pathname = ''] = decodeURIComponent(request.url ?? '').split('?');
    const name = pathname.slice(1);
    const json = (/** @type {number} */ status, /** @type {unknown} */ body) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));

    if (request.method === 'PUT') {
      const body = JSON.parse(Buffer.concat(await request.toArray()).toString());
      const [version] = Object.keys(body.versions);
      if (this.#packuments.get(name)?.versions[version]) {
        return json(403, { error: `${name}@${version} is published already` });
      }
      const [{ data }] = Object.values(body._attachments);
      const [tag] = Object.keys(body['dist-tags']);
      this.#publish(body.versions[version], tag, Buffer.from(data, 'base64'));
      return json(201, { ok: true });
    }
    if (name.startsWith('-/') && this.#tarballs.has(name.slice(2))) {
      return response
        .writeHead(200, { 'content-type': 'application/octet-stream' })
        .end(this.#tarballs.get(name.slice(2)));
    }
    const packument = this.#packuments.get(name);
    if (packument) {
      return json(200, packument);
    }
    if (this.#upstream) {
      return response.writeHead(302, { location: `${this.#upstream}${request.url}` }).end();
    }
    return json(404, { error: `no ${path.basename(name)} here` });
  }
}

exports.Registry = Registry;
