// `mcp-gateway config validate|schema`.
import { configJsonSchema } from '../config/json-schema.ts';
import { exposure } from '../config/exposure.ts';
import { loadConfig } from '../config/load.ts';
import { locateConfig } from '../config/locate.ts';
import { formatProblem } from '../config/problems.ts';
import { EXIT } from './exit-codes.ts';
import type { Command } from './options.ts';
import { plural, print, printJson, say } from './output.ts';
import { stateDirectoryOf } from './state-directory.ts';

export const configValidate: Command = {
  help: [['', 'exits 8 where the configuration cannot be used, 10 where only single servers cannot']],
  examples: ({ typed }) => [`${typed} config validate`, `${typed} config validate --config ./mcp-gateway.json --json`],
  run: (invocation) => {
    const { flags, env, cwd } = invocation;
    const file = locateConfig({ flag: flags.config, env, cwd });
    const loaded = loadConfig(file, env, stateDirectoryOf(invocation));
    const problems = loaded.ok ? loaded.warnings : loaded.problems;
    const errors = problems.filter(({ severity }) => severity === 'error');
    const out = loaded.ok ? loaded.config.servers.filter(({ problem }) => problem !== undefined).length : 0;
    const exposed = loaded.ok && exposure(loaded.config);
    const valid = loaded.ok && exposed === undefined;
    if (flags.json)
      printJson({ valid, file, problems, ...(loaded.ok && { servers: loaded.config.servers.length, unusable: out }) });
    else {
      for (const problem of problems) say(formatProblem(problem));
      if (typeof exposed === 'string') say(`${file}: not valid: ${exposed}`);
      else if (loaded.ok) print(`${file}: ${describe(loaded.config.servers.length, out)}`);
      else say(`${file}: not valid, ${plural(errors.length, 'error')}`);
    }
    if (!valid) return Promise.resolve(EXIT.configuration);
    return Promise.resolve(errors.length === 0 ? EXIT.ok : EXIT.checkFailed);
  },
};

export const configSchema: Command = {
  examples: ({ typed }) => [`${typed} config schema > mcp-gateway.schema.json`],
  run: () => {
    print(JSON.stringify(configJsonSchema(), null, 2));
    return Promise.resolve(EXIT.ok);
  },
};

function describe(servers: number, unusable: number): string {
  if (unusable === 0) return `valid, ${plural(servers, 'server')}`;
  return `usable, ${plural(servers, 'server')}, of which ${unusable} cannot be used for the reasons above`;
}
