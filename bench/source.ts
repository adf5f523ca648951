// How the source is cut: its lines and files, what a file imports, which interfaces carry callbacks, what modules keep.
import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { format } from 'prettier';
import ts from 'typescript';

const PRINT_WIDTH = 120;
const OPTIONS = /(Options|Parts|Handlers|Context)$/;
const EMPTY_COLLECTION = /^new (Weak)?(Map|Set)(<.*>)?\(\)$/s;
/** What follows the name of a value that is changed. */
const CHANGE =
  /(\.(set|add|delete|clear|push|pop|shift|unshift|splice|sort|reverse|fill)\(|(\.\w+|\[.+?\])+(\+\+|--| \S{0,3}= ))/;

/** A figure of one file, with its name. */
export type OfFile = readonly [count: number, file: string];

/** Interfaces; of them those with at least one member that is called, and the number of such members. */
export interface Interfaces {
  readonly all: number;
  readonly carriers: number;
  readonly callbacks: number;
}

/** What `src` of one clone looks like. */
export interface SourceFigures {
  readonly files: number;
  /** Lines with a token of the program, after each file was formatted at one print width. */
  readonly lines: number;
  /** Raw lines of a file: all but one in twenty have no more. */
  readonly p95: number;
  readonly longest: OfFile;
  /** Import declarations, those of types too. */
  readonly mostImports: OfFile;
  readonly optionInterfaces: Interfaces;
  /** So that another name for options does not pass for another shape. */
  readonly allInterfaces: Interfaces;
  /** `FILE: NAME` of what stands at the top level of a module and changes. */
  readonly moduleState: readonly string[];
}

/**
 * Reads the clone. Interfaces of options are those whose name ends in Options, Parts, Handlers or Context. A callback is a method, or a
 * property whose type, without undefined, can be called, whether it is written out or has a name: 131 in 80 interfaces at 6613409.
 */
export async function readSource(root: string): Promise<SourceFigures> {
  const paths = readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const program = ts.createProgram(paths, { strict: true, module: ts.ModuleKind.NodeNext });
  const files = paths.map((path) => program.getSourceFile(path)!);
  const nameOf = ({ fileName }: ts.SourceFile): string => relative(root, fileName);
  const ranked = (count: (file: ts.SourceFile) => number): OfFile[] =>
    files.map((file) => [count(file), nameOf(file)] as const).sort(([one], [other]) => other - one);
  const lengths = ranked(({ text }) => text.split('\n').length - 1);
  const interfaces = files.flatMap(interfacesIn);
  const options = interfaces.filter(({ name }) => OPTIONS.test(name.text));
  const lines = await Promise.all(files.map(({ text }) => codeLines(text)));
  return {
    files: files.length,
    lines: lines.reduce((sum, count) => sum + count, 0),
    p95: lengths[Math.floor(lengths.length / 20)]![0],
    longest: lengths[0]!,
    mostImports: ranked(({ statements }) => statements.filter(ts.isImportDeclaration).length)[0]!,
    optionInterfaces: callbacksOf(options, program.getTypeChecker()),
    allInterfaces: callbacksOf(interfaces, program.getTypeChecker()),
    moduleState: files.flatMap((file) => stateOf(file).map((name) => `${nameOf(file)}: ${name}`)),
  };
}

function interfacesIn(node: ts.Node): ts.InterfaceDeclaration[] {
  const found = ts.isInterfaceDeclaration(node) ? [node] : [];
  ts.forEachChild(node, (child) => void found.push(...interfacesIn(child)));
  return found;
}

/** The lines on which a token stands or goes on; comments are none. */
async function codeLines(text: string): Promise<number> {
  const formatted = await format(text, { parser: 'typescript', printWidth: PRINT_WIDTH, singleQuote: true });
  const tree = ts.createSourceFile('formatted.ts', formatted, ts.ScriptTarget.Latest, true);
  const lines = new Set<number>();
  const visit = (node: ts.Node): void => {
    if (ts.isJSDoc(node)) return;
    const children = node.getChildren(tree);
    children.forEach(visit);
    if (children.length > 0 || node.getWidth(tree) === 0) return;
    const [first, last] = [node.getStart(tree), node.getEnd()].map((at) => tree.getLineAndCharacterOfPosition(at).line);
    for (let line = first!; line <= last!; line++) lines.add(line);
  };
  visit(tree);
  return lines.size;
}

function callbacksOf(interfaces: readonly ts.InterfaceDeclaration[], checker: ts.TypeChecker): Interfaces {
  const called = (member: ts.TypeElement): boolean =>
    checker.getNonNullableType(checker.getTypeAtLocation(member)).getCallSignatures().length > 0;
  const counts = interfaces.map(({ members }) => members.filter(called).length).filter((count) => count > 0);
  const callbacks = counts.reduce((sum, count) => sum + count, 0);
  return { all: interfaces.length, carriers: counts.length, callbacks };
}

/** Each `let`, each collection that begins empty, and each other value that the file changes. */
function stateOf({ text, statements }: ts.SourceFile): string[] {
  const declared = statements.filter(ts.isVariableStatement).map(({ declarationList }) => declarationList);
  return declared.flatMap(({ flags, declarations }) =>
    declarations
      .filter(({ name, initializer }) => {
        if ((flags & ts.NodeFlags.Const) === 0 || EMPTY_COLLECTION.test(initializer?.getText() ?? '')) return true;
        return new RegExp(`(?<![\\w.])${name.getText()}${CHANGE.source}`).test(text);
      })
      .map(({ name }) => name.getText()),
  );
}
