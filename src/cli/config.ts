// `mcp-gateway config validate|schema`.
import { configJsonSchema } from '../config/json-schema.ts';
import { loadConfig, locateConfig } from '../config/load.ts';
import { formatProblem } from '../config/problems.ts';
import { EXIT } from './exit-codes.ts';
import { type Command } from './options.ts';
import { print, printJson, say } from './output.ts';

export const configValidate: Command = {
  usage: '',
  options: {},
  help: [],
  examples: ['mcp-gateway config validate', 'mcp-gateway config validate --config ./mcp-gateway.json --json'],
  positionals: 0,
  run: ({ flags, env, cwd }) => {
    const file = locateConfig({ flag: flags.config, env, cwd });
    const loaded = loadConfig(file, env);
    const problems = loaded.ok ? loaded.warnings : loaded.problems;
    const errors = problems.filter(({ severity }) => severity === 'error');
    const valid = loaded.ok && errors.length === 0;
    if (flags.json) printJson({ valid, file, problems, ...(loaded.ok && { servers: loaded.config.servers.length }) });
    else {
      for (const problem of problems) say(formatProblem(problem));
      if (loaded.ok) print(`${file}: ${describe(loaded.config.servers.length, problems.length)}`);
      else say(`${file}: not valid, ${plural(errors.length, 'error')}`);
    }
    return Promise.resolve(valid ? EXIT.ok : EXIT.configuration);
  },
};

export const configSchema: Command = {
  usage: '',
  options: {},
  help: [],
  examples: ['mcp-gateway config schema > mcp-gateway.schema.json'],
  positionals: 0,
  run: () => {
    print(JSON.stringify(configJsonSchema(), null, 2));
    return Promise.resolve(EXIT.ok);
  },
};

function describe(servers: number, problems: number): string {
  return problems === 0
    ? `valid, ${plural(servers, 'server')}`
    : `${plural(servers, 'server')}, ${plural(problems, 'problem')} listed above`;
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
