// What `serve` shows on a terminal: the progress of the start, then a line for each call and each server that becomes ready or fails.
import { SECOND } from '../core/bounds/bound.ts';
import { BOUNDS } from '../core/bounds/bounds.ts';
import type { JsonObject } from '../core/json.ts';
import type { Gateway } from '../gateway/gateway.ts';
import type { EndedCall, Watcher } from '../gateway/watcher.ts';
import type { LogLine } from '../telemetry/logger.ts';
import type { ServerStatus } from '../upstream/mcp/status.ts';
import { CLEAR_LINE, oneLine, plural } from './output.ts';
import {
  callLine,
  countLine,
  failureLine,
  failureLines,
  headLines,
  isComing,
  isUp,
  OF_CONFIGURATION,
  progressLine,
  withRelativePath,
} from './screen-lines.ts';
import { cut } from './table.ts';

/** The part of a `tty.WriteStream` that the screen uses. */
export interface Terminal {
  readonly columns: number;
  write(text: string): unknown;
}

/** The watcher of a gateway on a terminal: it makes every line safe and cuts it to the width. */
export class Screen implements Watcher {
  private readonly terminal: Terminal;
  private gateway: Pick<Gateway, 'servers'> | undefined;
  private startedAt = 0;
  /** The progress line, which is redrawn while the servers start. */
  private live = '';
  private redrawing: NodeJS.Timeout | undefined;
  /** How many warnings about the configuration were logged before `begin`, and the other messages until then. */
  private warnings = 0;
  private readonly early: LogLine[] = [];
  /** The state of each server that the screen showed last. */
  private readonly shown = new Map<string, 'up' | 'down' | 'lost'>();
  private readonly changed = new Set<string>();
  /** The calls of the present second. */
  private second = { from: -SECOND, shown: 0, ok: 0, failed: 0 };
  private counting: NodeJS.Timeout | undefined;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  /** The gateway listens, and is about to start its servers. */
  begin(gateway: Pick<Gateway, 'servers'>, { url, needsToken }: { url: string; needsToken: boolean }): void {
    this.gateway = gateway;
    this.startedAt = performance.now();
    // not cut, because people copy them
    for (const line of headLines(url, needsToken)) this.terminal.write(`${line}\n`);
    for (const line of this.early.splice(0)) this.log(line);
    this.redrawing = setInterval(() => this.progress(), BOUNDS.screenRedraw).unref();
    this.progress();
  }

  /** Shows a line above the progress line. */
  show(line: string): void {
    this.terminal.write(
      `${this.live === '' ? '' : CLEAR_LINE}${cut(oneLine(line), this.terminal.columns)}\n${this.live}`,
    );
  }

  /** Shows a warning or error of the log. */
  log(line: LogLine): void {
    const { level, msg = '', err } = line;
    if (!this.gateway) {
      // only counted, because `config validate` shows them
      if (OF_CONFIGURATION.test(msg)) this.warnings++;
      else if (this.early.length < BOUNDS.screenEarly) this.early.push(line);
      return;
    }
    const [first = '', ...more] = `${msg}${err?.message === undefined ? '' : `: ${err.message}`}`.split('\n');
    this.show(`${level === 'warn' ? 'warning' : level}: ${withRelativePath(first)}`);
    for (const each of more.slice(0, BOUNDS.screenMessage)) this.show(`  ${each}`);
  }

  event(event: string, detail: JsonObject): void {
    const text = (key: string) => (typeof detail[key] === 'string' ? detail[key] : '');
    if (event === 'circuit_opened') this.show(`  ${text('server')}  is given a rest: ${text('reason')}`);
    if (event === 'authentication_failed' || event === 'session_refused')
      this.show(`a caller at ${text('address')} was refused: ${text('reason')}`);
  }

  serverChanged(server: string): void {
    // reads the status in a later turn, because the server reports its change before the change is complete
    if (this.changed.size === 0) setImmediate(() => this.lookAtServers());
    this.changed.add(server);
  }

  callEnded(ended: EndedCall): void {
    const now = performance.now();
    if (now - this.second.from >= SECOND) this.second = { from: now, shown: 0, ok: 0, failed: 0 };
    const { second } = this;
    if (second.shown < BOUNDS.screenCalls) {
      second.shown++;
      this.show(callLine(ended));
      return;
    }
    if (ended.status === 'ok') second.ok++;
    else second.failed++;
    this.counting ??= setTimeout(
      () => {
        this.counting = undefined;
        this.show(countLine(second.ok, second.failed));
      },
      SECOND - (now - second.from),
    ).unref();
  }

  reloaded({ touched, again }: { readonly touched: readonly string[]; readonly again: boolean }): void {
    const names = new Set(this.gateway?.servers().map(({ name }) => name));
    for (const name of this.shown.keys()) if (!names.has(name)) this.shown.delete(name);
    const which = touched.length > 0 ? `: ${touched.join(', ')}` : '';
    this.show(`the configuration ${again ? 'is in force again' : 'was reloaded'}${which}`);
  }

  /** Ends the progress line. */
  end(): void {
    clearInterval(this.redrawing);
    this.redrawing = undefined;
    if (this.live !== '') this.terminal.write('\n');
    this.live = '';
  }

  /** Redraws the progress line. Once every server has been tried, or the time is over, the line stays, and the failures follow it. */
  private progress(): void {
    const servers = this.gateway?.servers() ?? [];
    const spent = performance.now() - this.startedAt;
    const line = cut(progressLine(servers, spent), this.terminal.columns - 1);
    if (spent < BOUNDS.screenStartTime && servers.some(isComing)) {
      this.live = line;
      this.terminal.write(`${CLEAR_LINE}${line}`);
      return;
    }
    clearInterval(this.redrawing);
    this.redrawing = undefined;
    this.live = '';
    this.terminal.write(`${CLEAR_LINE}${line}\n`);
    const invalid = servers.filter(({ state }) => state === 'invalid').length;
    for (const failure of failureLines(servers, Math.max(0, this.warnings - invalid))) this.show(failure);
    for (const server of servers) if (!isComing(server)) this.shown.set(server.name, isUp(server) ? 'up' : 'down');
  }

  private lookAtServers(): void {
    const names = new Set(this.changed);
    this.changed.clear();
    if (this.redrawing) {
      this.progress();
      return;
    }
    for (const server of this.gateway?.servers() ?? []) if (names.has(server.name)) this.lookAt(server);
  }

  private lookAt(server: ServerStatus): void {
    const { name, state, tools } = server;
    const shown = this.shown.get(name);
    if (state === 'ready' && shown !== 'up') {
      this.show(`  ${name}  ready${shown === undefined ? '' : ' again'}, ${plural(tools, 'tool')}`);
      this.shown.set(name, 'up');
    } else if (state === 'waiting' && shown !== 'down') {
      this.show(failureLine(server));
      this.shown.set(name, 'down');
    } else if (state === 'connecting' && shown === 'up' && server.restarts > 0) this.shown.set(name, 'lost');
  }
}
