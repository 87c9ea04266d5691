'use strict';

// The page. esbuild bundles mediasoup-client into its script when the server starts.

const fs = require('node:fs/promises');
const path = require('node:path');
const esbuild = require('esbuild');

const PUBLIC = path.join(__dirname, 'public');

/** A Map of path → { type, body }. */
async function buildPage() {
  const { outputFiles } = await esbuild.build({
    entryPoints: [path.join(PUBLIC, 'app.js')],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
  });

  const html = await fs.readFile(path.join(PUBLIC, 'index.html'));

  return new Map([
    ['/', { type: 'text/html; charset=utf-8', body: html }],
    ['/app.js', { type: 'text/javascript; charset=utf-8', body: outputFiles[0].contents }],
  ]);
}

module.exports = { buildPage };
