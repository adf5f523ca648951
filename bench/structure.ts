// `npm run structure -- [--root DIR] [--json]`: how the source of a clone is cut, and how many of its files take part in one call.
import { realpathSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { enteredFiles } from './entered.ts';
import { path } from './process.ts';
import { type Interfaces, type OfFile, readSource } from './source.ts';

/** The clone's `dist` is run, so build it first. What the suite costs in CPU time: `/usr/bin/time -v npm run test:all`. */
const { values: options } = parseArgs({
  options: { root: { type: 'string', default: path('.') }, json: { type: 'boolean', default: false } },
});
const root = realpathSync(options.root);
const source = await readSource(root);
const entered = await enteredFiles(root);

const named = ([count, file]: OfFile): string => `${count} (${file})`;
const carried = ({ all, carriers, callbacks }: Interfaces): string =>
  `${all}; ${carriers} carry ${callbacks} callbacks`;

function table(): string {
  const rows = {
    'lines without comments and blanks': source.lines,
    files: source.files,
    'length of a file, p95': source.p95,
    'longest file': named(source.longest),
    'most imports in one file': named(source.mostImports),
    'interfaces of options': carried(source.optionInterfaces),
    'all interfaces': carried(source.allInterfaces),
    'files entered by a modern call': entered.modernCall.length,
    'files entered by a modern list': entered.list.length,
    'files entered by the first legacy call of a session, which elicits': entered.legacyFirst.length,
    'files entered by the second': entered.legacySecond.length,
    'values at the top level of a module that change': source.moduleState.length,
  };
  const width = Math.max(...Object.keys(rows).map((name) => name.length));
  const lines = Object.entries(rows).map(([name, figure]) => `${name.padEnd(width)}  ${figure}`);
  return [...lines, ...source.moduleState.map((name) => `  ${name}`)].join('\n');
}

process.stdout.write(`${options.json ? JSON.stringify({ source, entered }, null, 2) : table()}\n`);
