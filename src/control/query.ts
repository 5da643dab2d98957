/**
 * Reads what stands behind the question mark of a path, by the row of its route. Always holds: an
 * unknown parameter, one that is given twice and a value that is none are refused, and never passed
 * over. Imports core and its own folder.
 */
import { usage } from './protocol.ts';
import type { QueryField, QueryValues, Route } from './route.ts';

/** What ids of jobs look like. */
export const ID_PATTERN = '^[\\w.-]{1,128}$';
const ID = new RegExp(ID_PATTERN);

/** The values; throws `usage.invalid` with what is accepted. */
export function readQuery(route: Route, given: URLSearchParams): QueryValues {
  const fields = route.query ?? {};
  const names = [...given.keys()];
  for (const [index, name] of names.entries()) {
    if (!Object.hasOwn(fields, name)) {
      const known = Object.keys(fields).join(', ') || 'none';
      throw usage(`${brief(name)} is no parameter of ${route.path}; accepted: ${known}`);
    }
    if (names.indexOf(name) !== index) throw usage(`${name} is given twice`);
  }
  const values = Object.entries(fields).map(([name, field]) => {
    return [name, valueOf(name, field, given.get(name))] as const;
  });
  return Object.fromEntries(values);
}

function valueOf(
  name: string,
  field: QueryField,
  text: string | null,
): string | number | boolean | undefined {
  switch (field.kind) {
    case 'number': {
      if (text === null) return field.none;
      const number = /^\d{1,16}$/.test(text) ? Number(text) : NaN;
      if (number >= field.min && number <= field.max) return number;
      const accepted = `a whole number from ${field.min} to ${field.max}`;
      throw usage(`${name} is ${brief(text)}; accepted: ${accepted}`);
    }
    case 'flag':
      if (text === null || text === '0') return false;
      if (text === '1') return true;
      throw usage(`${name} is ${brief(text)}; accepted: 1, 0`);
    case 'id':
      if (text === null || ID.test(text)) return text ?? undefined;
      throw usage(`${name} is ${brief(text)}; accepted: the id of a job`);
  }
}

const brief = (text: string): string => text.slice(0, 40);
