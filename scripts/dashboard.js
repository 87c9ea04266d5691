'use strict';

// Checks examples/grafana-dashboard.json, its panels' options and its queries against the types in Grafana's own
// package: what Grafana does not know is an error. They belong to a newer Grafana than the dashboard needs, as an older
// one ignores options that it does not know.

const { spawnSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');

const { ROOT, cached, run } = require('./cross/tools');

const VERSION = '13.2.3';

const TYPES = `
import type * as dashboards from '@grafana/schema/dashboard';
import type * as stats from '@grafana/schema/stat';
import type * as series from '@grafana/schema/timeseries';
import type { DataSourceRef } from '@grafana/schema';

/** JSON has the values of enums. */
type Json<T> = T extends string
  ? \`\${T}\`
  : T extends number
    ? \`\${T}\` extends \`\${infer N extends number}\` ? N : T
    : T extends object ? { [K in keyof T]: Json<T[K]> } : T;

type Target = {
  datasource: DataSourceRef;
  editorMode: 'code' | 'builder';
  expr: string;
  legendFormat: string;
  range: boolean;
  refId: string;
};
type Panel<Type extends string, Options, Custom> =
  Omit<dashboards.Panel, 'type' | 'options' | 'targets' | 'fieldConfig'> & {
    type: Type;
    options: Partial<Options>;
    targets: Target[];
    fieldConfig: {
      defaults: Omit<dashboards.FieldConfig, 'custom'> & { custom?: Partial<Custom> };
      overrides: dashboards.FieldConfigSource['overrides'];
    };
  };
type Dashboard = Omit<dashboards.Dashboard, 'panels'> & {
  panels: (
    | dashboards.RowPanel
    | Panel<'stat', stats.Options, never>
    | Panel<'timeseries', series.Options, series.FieldConfig>
  )[];
};

export const dashboard: Json<Dashboard> = `;

const folder = cached(`grafana-schema-${VERSION}`, (into) =>
  run('npm', ['install', '--silent', '--no-save', '--prefix', into, `@grafana/schema@${VERSION}`]),
);
const types = './node_modules/@grafana/schema/dist/types';
const raw = `${types}/raw`;
const options = {
  compilerOptions: {
    module: 'esnext',
    moduleResolution: 'bundler',
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    types: [],
    paths: {
      '@grafana/schema/dashboard': [`${raw}/dashboard/x/types.gen.d.ts`],
      '@grafana/schema/stat': [`${raw}/composable/stat/panelcfg/x/types.gen.d.ts`],
      '@grafana/schema/timeseries': [`${raw}/composable/timeseries/panelcfg/x/types.gen.d.ts`],
    },
  },
  files: ['dashboard.ts'],
};
const json = fs.readFileSync(path.join(ROOT, 'examples/grafana-dashboard.json'), 'utf8');

fs.writeFileSync(path.join(folder, 'dashboard.ts'), `${TYPES.trimStart()}${json.trimEnd()};\n`);
fs.writeFileSync(path.join(folder, 'tsconfig.json'), JSON.stringify(options));

const { status } = spawnSync('npx', ['--no-install', 'tsc', '-p', folder], {
  cwd: ROOT,
  stdio: 'inherit',
});

process.exitCode = status ?? 1;
