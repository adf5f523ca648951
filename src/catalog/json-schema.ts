// Whether a JSON Schema can be compiled: the validators of deployed clients throw at one that cannot, and take their whole list down with it.
import { excerpt } from '../core/errors.ts';
import { isObject, type JsonObject, type JsonValue, numberOf } from '../core/json.ts';

const MAX_NODES = 10_000;
const MAX_DEPTH = 100;

const TYPES: ReadonlySet<unknown> = new Set(['object', 'array', 'string', 'number', 'integer', 'boolean', 'null']);
const ANCHOR = /^[a-z_][-a-z0-9._]*$/i;

type Check = (value: JsonValue) => boolean;

const isText: Check = (value) => typeof value === 'string';
const isNumber: Check = (value) => Number.isFinite(numberOf(value));
const isFlag: Check = (value) => typeof value === 'boolean';
const isTexts: Check = (value) => Array.isArray(value) && value.every(isText);
const isRegExp: Check = (value) => {
  try {
    return typeof value === 'string' && new RegExp(value, 'u') instanceof RegExp;
  } catch {
    return false;
  }
};

/** Keywords whose value is not a schema, and what it must be. */
const VALUES: ReadonlyMap<string, Check> = new Map<string, Check>([
  ['type', (value) => (Array.isArray(value) ? value : [value]).every((type) => TYPES.has(type))],
  ['enum', (value) => Array.isArray(value) && value.length > 0],
  ['const', () => true],
  ['default', () => true],
  ['required', isTexts],
  ['pattern', isRegExp],
  ['uniqueItems', isFlag],
  ['nullable', isFlag],
  ...['$schema', '$ref', '$dynamicRef', '$recursiveRef', 'format'].map((key): [string, Check] => [key, isText]),
  ...['maximum', 'minimum', 'exclusiveMaximum', 'exclusiveMinimum', 'multipleOf'].map((key): [string, Check] => [
    key,
    isNumber,
  ]),
  ...['maxLength', 'minLength', 'maxItems', 'minItems', 'maxProperties', 'minProperties'].map(
    (key): [string, Check] => [key, isNumber],
  ),
]);

/** Keywords whose value is one schema, a list of schemas, or names with schemas. */
const ONE: ReadonlySet<string> = new Set([
  ...['additionalItems', 'additionalProperties', 'contains', 'propertyNames', 'not', 'if', 'then', 'else', 'items'],
  ...['unevaluatedItems', 'unevaluatedProperties', 'contentSchema'],
]);
const LISTS: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'items', 'prefixItems']);
export const NAMED_SCHEMAS: ReadonlySet<string> = new Set([
  ...['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas', 'dependencies'],
]);

/** Keywords whose value is data: whatever stands in it is no schema. */
export const DATA: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples']);

/** What validators do not take, or not everywhere: a name for a part of a schema is one for all schemas of a client. */
const REFUSED: ReadonlySet<string> = new Set([
  ...['id', '$id', '$async', 'formatMinimum', 'formatMaximum', 'formatExclusiveMinimum', 'formatExclusiveMaximum'],
]);

/**
 * Says why a schema cannot be compiled, as the end of a sentence; undefined where it can. It must be an object without an `$id`. Errs on the
 * side of saying so: of references only those within the schema are followed.
 */
export function findSchemaFault(schema: JsonObject): string | undefined {
  return new SchemaWalk(schema).fault();
}

class SchemaWalk {
  private readonly root: JsonObject;
  private readonly seen = new Set<JsonObject>();
  /** Parts that have a name, by it. */
  private readonly anchors = new Map<string, JsonObject>();
  /** Where each part leads that is a reference, and the names that the others of them lead to. */
  private readonly leads = new Map<JsonObject, JsonValue>();
  private readonly named: string[] = [];
  private nodes = 0;

  constructor(root: JsonObject) {
    this.root = root;
  }

  fault(): string | undefined {
    const fault = this.schema(this.root, 0);
    if (fault !== undefined) return fault;
    // that of the root is not looked for by every validator
    const dangling = this.named.find((anchor) => (this.anchors.get(anchor) ?? this.root) === this.root);
    if (dangling !== undefined) return `nothing is named ${quoted(`#${dangling}`)}`;
    return this.hasCircle() ? 'its references lead in a circle' : undefined;
  }

  private schema(node: JsonValue | undefined, depth: number): string | undefined {
    if (++this.nodes > MAX_NODES) return `it has more than ${MAX_NODES} nodes`;
    if (depth > MAX_DEPTH) return `it is nested deeper than ${MAX_DEPTH} levels`;
    if (typeof node === 'boolean') return undefined;
    if (!isObject(node)) return 'a part of it is neither an object nor a boolean';
    if (this.seen.has(node)) return undefined;
    this.seen.add(node);
    if (node.nullable !== undefined && !allowsNull(node)) return 'its nullable does not go with its type';
    for (const key of Object.keys(node)) {
      const fault =
        this.keyword(key, node[key] ?? null, depth + 1) ??
        (key === '$ref' ? this.reference(node, depth + 1) : undefined);
      if (fault !== undefined) return fault;
    }
    return this.anchor(node);
  }

  private keyword(key: string, value: JsonValue, depth: number): string | undefined {
    if (REFUSED.has(key)) return `it has the keyword ${key}`;
    const check = VALUES.get(key);
    if (check) return check(value) ? undefined : `its ${key} ${quoted(value)} is not valid`;
    if (LISTS.has(key) && Array.isArray(value)) return this.all(value, depth);
    if (ONE.has(key)) return this.schema(value, depth);
    if (LISTS.has(key)) return `its ${key} is no list`;
    if (NAMED_SCHEMAS.has(key)) return this.names(key, value, depth);
    return Array.isArray(value) ? undefined : this.unknown(value, depth);
  }

  private all(schemas: readonly (JsonValue | undefined)[], depth: number): string | undefined {
    for (const schema of schemas) {
      const fault = this.schema(schema, depth);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  private names(key: string, value: JsonValue, depth: number): string | undefined {
    if (!isObject(value)) return `its ${key} is not an object`;
    const wrong = key === 'patternProperties' && Object.keys(value).find((pattern) => !isRegExp(pattern));
    if (typeof wrong === 'string') return `its pattern ${quoted(wrong)} is not valid`;
    const schemas = Object.values(value);
    return this.all(key === 'dependencies' ? schemas.filter((each) => !isTexts(each ?? null)) : schemas, depth);
  }

  /** Validators look for names of schemas even in keywords that they do not know, unless those are lists. */
  private unknown(value: JsonValue | undefined, depth: number): string | undefined {
    if (typeof value !== 'object' || value === null) return undefined;
    if (++this.nodes > MAX_NODES) return `it has more than ${MAX_NODES} nodes`;
    if (depth > MAX_DEPTH) return `it is nested deeper than ${MAX_DEPTH} levels`;
    for (const key of Object.keys(value)) {
      if (key === '$id' || key === '$anchor' || key === '$dynamicAnchor') return `it has ${key} in an unknown keyword`;
      const fault = this.unknown((value as JsonObject)[key], depth + 1);
      if (fault !== undefined) return fault;
    }
    return undefined;
  }

  private anchor(node: JsonObject): string | undefined {
    for (const anchor of [node.$anchor, node.$dynamicAnchor]) {
      if (anchor === undefined) continue;
      if (typeof anchor !== 'string' || !ANCHOR.test(anchor) || this.anchors.has(anchor))
        return `its anchor ${quoted(anchor)} is not valid, or stands twice`;
      this.anchors.set(anchor, node);
    }
    return undefined;
  }

  private reference(node: JsonObject, depth: number): string | undefined {
    const ref = node.$ref;
    if (typeof ref !== 'string') return undefined;
    if (!ref.startsWith('#')) return `its reference ${quoted(ref)} leads out of it`;
    if (ref !== '#' && !ref.startsWith('#/')) {
      this.named.push(ref.slice(1));
      return undefined;
    }
    const target = ref === '#' ? this.root : this.at(ref.slice(2));
    if (target === undefined) return `its reference ${quoted(ref)} leads nowhere`;
    this.leads.set(node, target);
    return this.schema(target, depth);
  }

  /** Whether a reference leads by references alone to where it stands: validators follow such without end. */
  private hasCircle(): boolean {
    const followed = new Set<JsonValue>();
    for (const start of this.leads.keys()) {
      const way = new Set<JsonValue>();
      for (
        let node: JsonValue | undefined = start;
        node !== undefined && !followed.has(node);
        node = this.leads.get(node as JsonObject)
      ) {
        if (way.has(node)) return true;
        way.add(node);
      }
      for (const node of way) followed.add(node);
    }
    return false;
  }

  /** What a JSON Pointer in a fragment leads to (RFC 6901, section 6). */
  private at(pointer: string): JsonValue | undefined {
    let node: JsonValue | undefined = this.root;
    for (const part of pointer.split('/')) {
      const key = unescaped(part);
      if (key === undefined || typeof node !== 'object' || node === null || !Object.hasOwn(node, key)) return undefined;
      node = (node as JsonObject)[key];
    }
    return node;
  }
}

function unescaped(part: string): string | undefined {
  try {
    return decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~');
  } catch {
    return undefined; // a percent sign that encodes nothing
  }
}

/** `nullable` is OpenAPI's: it stands beside a type, which it does not contradict. */
function allowsNull({ type, nullable }: JsonObject): boolean {
  if (type === undefined || (Array.isArray(type) && type.length === 0)) return false;
  return nullable !== false || !(Array.isArray(type) ? type : [type]).includes('null');
}

function quoted(value: JsonValue): string {
  return excerpt(JSON.stringify(value));
}
