// What a person at a terminal sees of `serve`: how the start goes, then a line for each call and for each server that comes or fails.
import type { JsonObject } from '../core/json.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { EndedCall, Watcher } from '../gateway/watcher.ts';
import type { LogLine } from '../telemetry/logger.ts';
import type { ServerStatus } from '../upstream/mcp/status.ts';
import { CLEAR_LINE, oneLine } from './output.ts';
import {
  callLine,
  countLine,
  failureLine,
  headLines,
  isComing,
  isUp,
  near,
  OF_CONFIGURATION,
  plural,
  progressLine,
  troubleLines,
} from './screen-lines.ts';
import { cut } from './table.ts';

/** Where it is shown; a stream of a terminal is one. */
export interface Terminal {
  readonly columns: number;
  write(text: string): unknown;
}

/** Most calls of a second that are shown one by one. */
const MOST_CALLS = 20;
const SECOND_MS = 1_000;
/** As long as servers that do not come up hide what became of the others. */
const PATIENCE_MS = 10_000;
/** As much of a message as is shown: one of the configuration has an excerpt. */
const MOST_LINES = 12;
/** As many other lines from before the start as are shown. */
const MOST_EARLY = 2;

/** Told of everything by the gateway; shows what concerns a person, cleaned and cut to the width of the terminal. */
export class Screen implements Watcher {
  private readonly terminal: Terminal;
  private gateway: Pick<Gateway, 'servers'> | undefined;
  private startedAt = 0;
  /** The line that is drawn again and again while the servers start. */
  private live = '';
  private ticking: NodeJS.Timeout | undefined;
  /** How often the configuration was warned of before there was anything to show, and what else was logged by then. */
  private warnings = 0;
  private readonly early: LogLine[] = [];
  /** What was last said of each server. */
  private readonly said = new Map<string, 'up' | 'down' | 'lost'>();
  private readonly changed = new Set<string>();
  private second = { from: -SECOND_MS, shown: 0, ok: 0, failed: 0 };
  private counting: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  /** The gateway listens, and is about to start its servers. */
  begin(gateway: Pick<Gateway, 'servers'>, { url, needsToken }: { url: string; needsToken: boolean }): void {
    this.gateway = gateway;
    this.startedAt = performance.now();
    // not cut: these are there to be copied
    for (const line of headLines(url, needsToken)) this.terminal.write(`${line}\n`);
    for (const line of this.early.splice(0)) this.log(line);
    this.ticking = setInterval(() => this.progress(), SECOND_MS).unref();
    this.progress();
  }

  /** Shows a line of its own. */
  tell(line: string): void {
    this.terminal.write(
      `${this.live === '' ? '' : CLEAR_LINE}${cut(oneLine(line), this.terminal.columns)}\n${this.live}`,
    );
  }

  /** Takes the log's warnings and errors. */
  log(line: LogLine): void {
    const { level, msg = '', err } = line;
    if (!this.gateway) {
      // `config validate` shows all of those
      if (OF_CONFIGURATION.test(msg)) this.warnings++;
      else if (this.early.length < MOST_EARLY) this.early.push(line);
      return;
    }
    const [first = '', ...more] = `${msg}${err?.message === undefined ? '' : `: ${err.message}`}`.split('\n');
    this.tell(`${level === 'warn' ? 'warning' : level}: ${near(first)}`);
    for (const line of more.slice(0, MOST_LINES)) this.tell(`  ${line}`);
  }

  event(event: string, detail: JsonObject): void {
    const text = (key: string) => (typeof detail[key] === 'string' ? detail[key] : '');
    if (event === 'circuit_opened') this.tell(`  ${text('server')}  is given a rest: ${text('reason')}`);
    if (event === 'authentication_failed' || event === 'session_refused')
      this.tell(`a caller at ${text('address')} was refused: ${text('reason')}`);
  }

  serverChanged(server: string): void {
    // the server is asked for its status later: it reports this in the middle of its change
    if (this.changed.size === 0) setImmediate(() => this.lookAtServers());
    this.changed.add(server);
  }

  callEnded(ended: EndedCall): void {
    const now = performance.now();
    if (now - this.second.from >= SECOND_MS) this.second = { from: now, shown: 0, ok: 0, failed: 0 };
    const { second } = this;
    if (second.shown < MOST_CALLS) {
      second.shown++;
      this.tell(callLine(ended));
      return;
    }
    if (ended.status === 'ok') second.ok++;
    else second.failed++;
    this.counting ??= setTimeout(
      () => {
        this.counting = undefined;
        this.tell(countLine(second.ok, second.failed));
      },
      SECOND_MS - (now - second.from),
    ).unref();
  }

  reloaded({ touched, again }: { readonly touched: readonly string[]; readonly again: boolean }): void {
    const names = new Set(this.gateway?.servers().map(({ name }) => name));
    for (const name of this.said.keys()) if (!names.has(name)) this.said.delete(name);
    const which = touched.length > 0 ? `: ${touched.join(', ')}` : '';
    this.tell(`the configuration ${again ? 'is in force again' : 'was reloaded'}${which}`);
  }

  /** Shows nothing that changes any more. */
  end(): void {
    clearInterval(this.ticking);
    this.ticking = undefined;
    if (this.live !== '') this.terminal.write('\n');
    this.live = '';
  }

  /** Draws how far the start has come; once every server has been tried or has had its time, that stays, with what failed below it. */
  private progress(): void {
    const servers = this.gateway?.servers() ?? [];
    const spent = performance.now() - this.startedAt;
    const line = cut(progressLine(servers, spent), this.terminal.columns - 1);
    if (spent < PATIENCE_MS && servers.some(isComing)) {
      this.live = line;
      this.terminal.write(`${CLEAR_LINE}${line}`);
      return;
    }
    clearInterval(this.ticking);
    this.ticking = undefined;
    this.live = '';
    this.terminal.write(`${CLEAR_LINE}${line}\n`);
    const invalid = servers.filter(({ state }) => state === 'invalid').length;
    for (const trouble of troubleLines(servers, Math.max(0, this.warnings - invalid))) this.tell(trouble);
    for (const server of servers) if (!isComing(server)) this.said.set(server.name, isUp(server) ? 'up' : 'down');
  }

  private lookAtServers(): void {
    const names = new Set(this.changed);
    this.changed.clear();
    if (this.ticking) {
      this.progress();
      return;
    }
    for (const server of this.gateway?.servers() ?? []) if (names.has(server.name)) this.lookAt(server);
  }

  private lookAt(server: ServerStatus): void {
    const { name, state, tools } = server;
    const said = this.said.get(name);
    if (state === 'ready' && said !== 'up') {
      this.tell(`  ${name}  ready${said === undefined ? '' : ' again'}, ${plural(tools, 'tool')}`);
      this.said.set(name, 'up');
    } else if (state === 'waiting' && said !== 'down') {
      this.tell(failureLine(server));
      this.said.set(name, 'down');
    } else if (state === 'connecting' && said === 'up' && server.restarts > 0) this.said.set(name, 'lost');
  }
}
