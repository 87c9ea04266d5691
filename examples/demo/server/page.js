'use strict';

// The page: four files in memory. When the server starts, esbuild bundles app.js and mediasoup-client into one script,
// so there is no build step, and nothing is loaded from other servers.

const fs = require('node:fs/promises');
const path = require('node:path');
const esbuild = require('esbuild');

const PUBLIC = path.join(__dirname, '..', 'public');

const HEADERS = {
  'cache-control': 'no-cache',
  'content-security-policy':
    "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
};

/** A Map of path → { type, body }. */
async function buildPage() {
  const [html, css, icon, script] = await Promise.all([
    fs.readFile(path.join(PUBLIC, 'index.html')),
    fs.readFile(path.join(PUBLIC, 'style.css')),
    fs.readFile(path.join(PUBLIC, 'icon.svg')),
    bundle(),
  ]);

  return new Map([
    ['/', { type: 'text/html; charset=utf-8', body: html }],
    ['/style.css', { type: 'text/css; charset=utf-8', body: css }],
    ['/icon.svg', { type: 'image/svg+xml', body: icon }],
    ['/app.js', { type: 'text/javascript; charset=utf-8', body: script }],
  ]);
}

async function bundle() {
  const { outputFiles } = await esbuild.build({
    entryPoints: [path.join(PUBLIC, 'app.js')],
    bundle: true,
    write: false,
    format: 'iife',
    target: 'es2022',
    minifySyntax: true,
    minifyWhitespace: true,
    legalComments: 'none',
    logLevel: 'error',
  });

  return outputFiles[0].contents;
}

function servePage(page, request, response) {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { ...HEADERS, allow: 'GET, HEAD' }).end();
    return;
  }

  const file = page.get(request.url.split('?', 1)[0]);
  if (!file) {
    response.writeHead(404, { ...HEADERS, 'content-type': 'text/plain' }).end('Not found\n');
    return;
  }

  response.writeHead(200, {
    ...HEADERS,
    'content-type': file.type,
    'content-length': file.body.length,
  });
  response.end(request.method === 'HEAD' ? undefined : file.body);
}

module.exports = { buildPage, servePage };
