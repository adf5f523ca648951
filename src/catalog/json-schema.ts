// Checks that a JSON Schema can be compiled: the validator of a client throws at one that cannot, and the client loses the whole list.
import { BOUNDS } from '../core/bounds/bounds.ts';
import { excerpt } from '../core/errors.ts';
import { isObject, type JsonObject, type JsonValue, numberOf } from '../core/json.ts';

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

/** Keywords whose value is not a schema, and the check of the value. */
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

/** Keywords whose value is data: nothing in it is a schema. */
export const DATA: ReadonlySet<string> = new Set(['const', 'enum', 'default', 'examples']);

/** Keywords that some validators refuse. A name (`$id`) counts for all schemas of a client, so two of them collide. */
const REFUSED: ReadonlySet<string> = new Set([
  ...['id', '$id', '$async', 'formatMinimum', 'formatMaximum', 'formatExclusiveMinimum', 'formatExclusiveMaximum'],
]);

/**
 * Why a schema cannot be compiled, as the end of a sentence; undefined where it can. The schema must be an object without an `$id`. It
 * refuses some schemas that could be compiled: it only follows references within the schema.
 */
export function findSchemaFault(schema: JsonObject): string | undefined {
  return new SchemaWalk(schema).fault();
}

class SchemaWalk {
  private readonly root: JsonObject;
  private readonly seen = new Set<JsonObject>();
  /** The subschemas with an anchor, by anchor. */
  private readonly anchors = new Map<string, JsonObject>();
  /** The targets of references by JSON Pointer. */
  private readonly targets = new Map<JsonObject, JsonValue>();
  /** The anchors that the other references name. */
  private readonly named: string[] = [];
  private nodes = 0;

  constructor(root: JsonObject) {
    this.root = root;
  }

  fault(): string | undefined {
    const fault = this.schema(this.root, 0);
    if (fault !== undefined) return fault;
    // some validators do not find an anchor of the root
    const dangling = this.named.find((anchor) => (this.anchors.get(anchor) ?? this.root) === this.root);
    if (dangling !== undefined) return `nothing is named ${quoted(`#${dangling}`)}`;
    return this.hasCircle() ? 'its references lead in a circle' : undefined;
  }

  private schema(node: JsonValue | undefined, depth: number): string | undefined {
    if (++this.nodes > BOUNDS.outputSchemaNodes) return `it has more than ${BOUNDS.outputSchemaNodes} nodes`;
    if (depth > BOUNDS.outputSchemaDepth) return `it is nested deeper than ${BOUNDS.outputSchemaDepth} levels`;
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

  /** Checks an unknown keyword: validators look for names of schemas in there too, but not in lists. */
  private unknown(value: JsonValue | undefined, depth: number): string | undefined {
    if (typeof value !== 'object' || value === null) return undefined;
    if (++this.nodes > BOUNDS.outputSchemaNodes) return `it has more than ${BOUNDS.outputSchemaNodes} nodes`;
    if (depth > BOUNDS.outputSchemaDepth) return `it is nested deeper than ${BOUNDS.outputSchemaDepth} levels`;
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
    this.targets.set(node, target);
    return this.schema(target, depth);
  }

  /** Whether a chain of references leads back to its start: validators follow it without end. */
  private hasCircle(): boolean {
    const followed = new Set<JsonValue>();
    for (const start of this.targets.keys()) {
      const chain = new Set<JsonValue>();
      for (
        let node: JsonValue | undefined = start;
        node !== undefined && !followed.has(node);
        node = this.targets.get(node as JsonObject)
      ) {
        if (chain.has(node)) return true;
        chain.add(node);
      }
      for (const node of chain) followed.add(node);
    }
    return false;
  }

  /** The target of a JSON Pointer in a fragment (RFC 6901, section 6). */
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
    return undefined; // an invalid percent-encoding
  }
}

/** Whether `nullable`, a keyword of OpenAPI, is beside a type that it does not contradict. */
function allowsNull({ type, nullable }: JsonObject): boolean {
  if (type === undefined || (Array.isArray(type) && type.length === 0)) return false;
  return nullable !== false || !(Array.isArray(type) ? type : [type]).includes('null');
}

function quoted(value: JsonValue): string {
  return excerpt(JSON.stringify(value));
}
