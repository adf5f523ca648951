// Small changes of a source file, each of which a test should notice; made of its syntax tree.
import ts from 'typescript';

/** One change: the text from `start` to `end` becomes `text`. */
export interface Mutation {
  readonly what: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

const REPLACED: ReadonlyMap<ts.SyntaxKind, string> = new Map([
  [ts.SyntaxKind.AmpersandAmpersandToken, '||'],
  [ts.SyntaxKind.BarBarToken, '&&'],
  [ts.SyntaxKind.EqualsEqualsEqualsToken, '!=='],
  [ts.SyntaxKind.ExclamationEqualsEqualsToken, '==='],
  [ts.SyntaxKind.LessThanToken, '<='],
  [ts.SyntaxKind.LessThanEqualsToken, '<'],
  [ts.SyntaxKind.GreaterThanToken, '>='],
  [ts.SyntaxKind.GreaterThanEqualsToken, '>'],
]);

/** Every mutation of a file, in the order of the text. Whether it compiles is not known. */
export function mutationsOf(file: string, source: string): Mutation[] {
  const tree = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const found: Mutation[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isInterfaceDeclaration(node)) return;
    found.push(...mutationsAt(node));
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return found;
}

/** The source with one mutation made. */
export function mutate(source: string, { start, end, text }: Mutation): string {
  return source.slice(0, start) + text + source.slice(end);
}

function mutationsAt(node: ts.Node): Mutation[] {
  const whole = (what: string, text: string, of: ts.Node = node): Mutation => ({
    what,
    start: of.getStart(),
    end: of.end,
    text,
  });
  if (ts.isIfStatement(node)) return [whole('negate a condition', negated(node.expression), node.expression)];
  if (ts.isConditionalExpression(node)) return [whole('negate a condition', negated(node.condition), node.condition)];
  if (ts.isBinaryExpression(node)) return ofOperator(node, whole);
  if (ts.isExpressionStatement(node)) return ofStatement(node, whole);
  if (ts.isThrowStatement(node)) return [whole('drop a throw', ';')];
  if (ts.isReturnStatement(node) && node.expression && node.expression.getText() !== 'undefined')
    return [whole('return nothing', 'return undefined;')];
  if (ts.isArrayLiteralExpression(node)) return ofElements(node.elements, whole);
  if (ts.isObjectLiteralExpression(node))
    return node.properties.map((property) => dropped('drop a property', property, node.properties));
  if (node.kind === ts.SyntaxKind.TrueKeyword) return [whole('replace a literal', 'false')];
  if (node.kind === ts.SyntaxKind.FalseKeyword) return [whole('replace a literal', 'true')];
  if (ts.isBlock(node) && ts.isFunctionLike(node.parent) && node.statements.length > 0)
    return [{ what: 'return early', start: node.getStart() + 1, end: node.getStart() + 1, text: ' return;' }];
  return [];
}

type Whole = (what: string, text: string, of?: ts.Node) => Mutation;

function negated(condition: ts.Expression): string {
  return `!(${condition.getText()})`;
}

function ofOperator({ operatorToken, right }: ts.BinaryExpression, whole: Whole): Mutation[] {
  if (operatorToken.kind === ts.SyntaxKind.QuestionQuestionToken)
    return [whole('take the right side of ??', right.getText())];
  const replaced = REPLACED.get(operatorToken.kind);
  return replaced === undefined ? [] : [whole('replace an operator', replaced, operatorToken)];
}

function ofStatement({ expression }: ts.ExpressionStatement, whole: Whole): Mutation[] {
  if (ts.isDeleteExpression(expression)) return [whole('drop a statement', ';')];
  if (ts.isAwaitExpression(expression))
    return [whole('drop a statement', ';'), whole('do not wait', `void ${expression.expression.getText()};`)];
  return [whole(ts.isBinaryExpression(expression) ? 'drop an assignment' : 'drop a statement', ';')];
}

/** An element left out, and neighbours swapped: stages, and what else stands in an order. */
function ofElements(elements: ts.NodeArray<ts.Expression>, whole: Whole): Mutation[] {
  return elements.flatMap((element, index) => {
    const next = elements[index + 1];
    const drop = dropped('drop an element', element, elements);
    if (!next) return [drop];
    const swapped = `${next.getText()}, ${element.getText()}`;
    return [drop, { ...whole('swap elements', swapped, element), end: next.end }];
  });
}

/** Without an element, and the comma that belongs to it. */
function dropped(what: string, element: ts.Node, all: ts.NodeArray<ts.Node>): Mutation {
  const next = all[all.indexOf(element) + 1];
  return { what, start: element.getStart(), end: next ? next.getStart() : all.end, text: '' };
}
