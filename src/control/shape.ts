/**
 * Schemas of what the daemon answers, in the words of JSON Schema 2020-12, tied to the types of
 * core. Always holds: a field that a type has and its schema has not, or the other way round, does
 * not compile; an answer may gain fields and words within v1, so nothing here forbids them. Imports
 * nothing.
 */

/** A JSON Schema, as it is printed. */
export type Schema = Readonly<Record<string, unknown>>;

/** A field that may be absent. */
interface Optional {
  readonly optional: Schema;
}

/** One schema per field of a type: wrapped by `maybe` where the field may be absent. */
export type Fields<T> = {
  readonly [K in keyof T]-?: T extends Readonly<Record<K, T[K]>> ? Schema : Optional;
};

/** A field that may be absent. */
export const maybe = (schema: Schema): Optional => ({ optional: schema });

/** An object with the fields of a type. */
export function object<T extends object>(description: string, fields: Fields<T>): Schema {
  const entries = Object.entries(fields as Readonly<Record<string, Schema | Optional>>);
  const schemaOf = (field: Schema | Optional): Schema =>
    isOptional(field) ? field.optional : field;
  return {
    type: 'object',
    description,
    required: entries.filter(([, field]) => !isOptional(field)).map(([name]) => name),
    properties: Object.fromEntries(entries.map(([name, field]) => [name, schemaOf(field)])),
  };
}

const isOptional = (field: Schema | Optional): field is Optional => 'optional' in field;

/** One of the schemas of `NAMED`. */
export const ref = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` });

/** The schema, or null. */
export function orNull(schema: Schema): Schema {
  const { type } = schema;
  if (typeof type !== 'string' || 'const' in schema) return { anyOf: [schema, { type: 'null' }] };
  return { ...schema, type: [type, 'null'] };
}

/** A list of such values. */
export const list = (items: Schema): Schema => ({ type: 'array', items });

/** Text. */
export const text = (description?: string): Schema => described({ type: 'string' }, description);
/** True or false. */
export const yesNo = (description?: string): Schema => described({ type: 'boolean' }, description);
/** A whole number, not negative. */
export const whole = (description?: string): Schema =>
  described({ type: 'integer', minimum: 0 }, description);
/** Any number. */
export const number = (description?: string): Schema => described({ type: 'number' }, description);
/** Wall-clock time, for people; it decides nothing. */
export const time = (description?: string): Schema =>
  described({ type: 'string', format: 'date-time' }, description);
/** One value and no other. */
export const constant = (value: string | number | boolean): Schema => ({ const: value });

function described(schema: Schema, description: string | undefined): Schema {
  return description === undefined ? schema : { ...schema, description };
}

/** One of these words. A later version may know more of them: take an unknown one for that. */
export function words(known: readonly string[], description?: string): Schema {
  return described({ type: 'string', 'x-extensible-enum': known }, description);
}

/** The same from a table that has to name each word of the type. */
export const wordsOf = <T extends string>(
  known: Readonly<Record<T, true>>,
  description?: string,
): Schema => words(Object.keys(known), description);

/** Words as names, each with a value of the same kind. */
export const mapOf = (values: Schema, description?: string): Schema =>
  described({ type: 'object', additionalProperties: values }, description);
