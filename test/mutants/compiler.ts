// Tells whether a mutant still compiles: only its own file is looked at, with everything else kept from before.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';

/** What says nothing about whether a mutant can run: what is unused or never reached. */
const HARMLESS: ReadonlySet<number> = new Set([6133, 6138, 6192, 6196, 6198, 7027]);

/** The types of `src`, asked again for every mutant. */
export class Compiler {
  private readonly mutants = new Map<string, { text: string; version: number }>();
  private readonly service: ts.LanguageService;
  private version = 0;

  constructor(root: string) {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile) as { config: object };
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
    const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => join(root, 'src', name));
    this.service = ts.createLanguageService({
      getCompilationSettings: () => options,
      getScriptFileNames: () => files,
      getScriptVersion: (file) => String(this.mutants.get(file)?.version ?? 0),
      getScriptSnapshot: (file) => {
        const text = this.mutants.get(file)?.text ?? (ts.sys.fileExists(file) ? readFileSync(file, 'utf8') : undefined);
        return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
      },
      getCurrentDirectory: () => root,
      getDefaultLibFileName: (given) => ts.getDefaultLibFilePath(given),
      fileExists: (file) => ts.sys.fileExists(file),
      readFile: (file, encoding) => ts.sys.readFile(file, encoding),
      readDirectory: (...given) => ts.sys.readDirectory(...given),
      directoryExists: (directory) => ts.sys.directoryExists(directory),
      getDirectories: (directory) => ts.sys.getDirectories(directory),
    });
  }

  /** Why the file does not compile with this text; undefined where it does. */
  faultIn(file: string, text: string): string | undefined {
    this.mutants.set(file, { text, version: ++this.version });
    const found = [...this.service.getSyntacticDiagnostics(file), ...this.service.getSemanticDiagnostics(file)];
    this.mutants.delete(file);
    const [fault] = found.filter(({ code }) => !HARMLESS.has(code));
    return fault && ts.flattenDiagnosticMessageText(fault.messageText, ' ');
  }
}
