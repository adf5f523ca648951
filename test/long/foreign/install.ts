// Installs the foreign servers, each into a folder of its own, and says how they are started.
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { Command } from '../../integration/harness/clients.ts';
import { ROOT } from '../../integration/harness/gateway.ts';

const SOURCES = join(import.meta.dirname, 'servers');

/** A folder of sources and the folder that it is installed into. */
interface Folders {
  readonly source: string;
  readonly target: string;
}

/** How servers of one language are installed. */
interface Language {
  /** The file that pins the version of the SDK, and where it stands there, behind the name of the SDK. */
  readonly pinned: readonly [file: string, version: RegExp];
  /** What must be on the machine, and what to install where it is not. */
  readonly needs: string;
  install(folders: Folders): Promise<void>;
  start(folders: Folders): Command;
}

const PYTHON: Language = {
  pinned: ['requirements.txt', /^(\S+)==(\S+)/m],
  needs: 'python3 with venv, 3.10 or newer',
  install: async ({ source, target }) => {
    await run('python3', '-m', 'venv', target);
    await run(join(target, 'bin/pip'), 'install', '--quiet', '--requirement', join(source, 'requirements.txt'));
  },
  start: ({ source, target }) => ({ command: join(target, 'bin/python'), args: [join(source, 'server.py')] }),
};

const GO: Language = {
  pinned: ['go.mod', /^require (\S+) v(\S+)/m],
  needs: 'go, 1.25 or newer',
  install: ({ source, target }) => run('go', '-C', source, 'build', '-p', '1', '-o', join(target, 'server'), '.'),
  start: ({ target }) => ({ command: join(target, 'server'), args: [] }),
};

const RUST: Language = {
  pinned: ['Cargo.toml', /^(rmcp) = .*version = "=(\S+)"/m],
  needs: 'cargo with Rust 1.88 or newer',
  install: ({ source, target }) =>
    run(
      'cargo',
      'build',
      '--quiet',
      '--jobs',
      '1',
      '--manifest-path',
      join(source, 'Cargo.toml'),
      '--target-dir',
      target,
    ),
  start: ({ target }) => ({ command: join(target, 'debug/server'), args: [] }),
};

const JAVA: Language = {
  pinned: ['pom.xml', /<groupId>(io.modelcontextprotocol\S+)<.groupId>[^]*?<version>(\S+)<.version>/],
  needs: 'mvn with a JDK, 17 or newer',
  install: ({ source, target }) =>
    run('mvn', '--quiet', '--batch-mode', '--file', join(source, 'pom.xml'), `-Dout=${target}`, 'compile'),
  start: ({ target }) => ({ command: 'java', args: ['-cp', `${target}/classes:${target}/jars/*`, 'Server'] }),
};

const LANGUAGES = {
  'python-1': PYTHON,
  'python-2': PYTHON,
  fastmcp: PYTHON,
  'go-sdk': GO,
  'mcp-go': GO,
  rmcp: RUST,
  java: JAVA,
} satisfies Record<string, Language>;

export type ServerName = keyof typeof LANGUAGES;
export const SERVERS = Object.keys(LANGUAGES) as ServerName[];

/** The SDK that a server is made with, and its version. */
export function versionOf(name: ServerName): string {
  const [file, pattern] = LANGUAGES[name].pinned;
  const [, sdk, version] = pattern.exec(readFileSync(join(SOURCES, name, file), 'utf8')) ?? [];
  if (sdk === undefined || version === undefined) throw new Error(`${file} of ${name} pins no version`);
  return `${sdk} ${version}`;
}

/** Installs a server unless what is installed was made of the same sources; gives what starts it. */
export async function install(name: ServerName): Promise<Command> {
  const language: Language = LANGUAGES[name];
  const folders = { source: join(SOURCES, name), target: join(ROOT, '.vitest/foreign', name) };
  const stamp = join(folders.target, 'made-of');
  const sources = digestOf(folders.source);
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== sources) {
    rmSync(folders.target, { recursive: true, force: true });
    mkdirSync(folders.target, { recursive: true });
    await language.install(folders).catch((error: unknown) => {
      throw new Error(`${name} could not be installed. It needs ${language.needs}.`, { cause: error });
    });
    writeFileSync(stamp, sources);
  }
  return language.start(folders);
}

function digestOf(folder: string): string {
  const hash = createHash('sha256');
  const files = globSync('**/*.{txt,py,go,mod,sum,toml,rs,xml,java}', { cwd: folder });
  for (const file of files.sort()) hash.update(file).update(readFileSync(join(folder, file)));
  return hash.digest('hex');
}

async function run(command: string, ...args: string[]): Promise<void> {
  await promisify(execFile)(command, args, { maxBuffer: 64 * 1024 * 1024 });
}
