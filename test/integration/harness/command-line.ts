// The command line on a configuration of its own, without a running gateway.
import { onTestFinished } from '../../apart.ts';
import { type CliResult, fixture, runCli, type Workspace, workspace } from './gateway.ts';

export interface CommandLine extends Workspace {
  /** The flags that name the configuration and the state directory. */
  readonly where: readonly string[];
  cli(...args: string[]): Promise<CliResult>;
}

/** Removed with the test that it is called in. */
export function place(config: object = { mcpServers: { echo: fixture('echo-stdio.ts') } }): CommandLine {
  const space = workspace(config);
  onTestFinished(() => space.remove());
  const where = ['--config', space.config, '--state', space.state];
  return { ...space, where, cli: (...args) => runCli([...args, ...where]) };
}
