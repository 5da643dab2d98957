/**
 * The commented example of a configuration file, printed from the schema. Always holds: it loads,
 * and it shows every setting with its accepted values; what has a default stands behind `//`, with
 * that default or, where that is to have none, with an example.
 * Imports the schema alone.
 */
import { acceptedValues, CONFIG_SCHEMA, type SettingSchema } from './config-schema.ts';

/** The text of an example file for node A, in lines of at most 100 columns. */
export function exampleConfig(): string {
  return [
    '// Configuration of a Tandem node: JSON with comments; trailing commas are allowed.',
    '// Settings behind // show their default. Relative paths start at the folder of this file.',
    '// Check a file with: tandem config check FILE',
    '{',
    ...sectionLines(CONFIG_SCHEMA, '  '),
    '}',
    '',
  ].join('\n');
}

function sectionLines(section: SettingSchema, indent: string): string[] {
  const lines: string[] = [];
  for (const [name, schema] of Object.entries(section.properties ?? {})) {
    if (lines.length > 0) lines.push('');
    lines.push(...wrapped(schema.description ?? '', `${indent}// `));
    if (schema.type === 'object') {
      lines.push(`${indent}"${name}": {`, ...sectionLines(schema, `${indent}  `), `${indent}},`);
      continue;
    }
    lines.push(...wrapped(`Accepted: ${acceptedValues(schema)}.`, `${indent}// `));
    lines.push(indent + settingLine(name, schema));
  }
  return lines;
}

function settingLine(name: string, schema: SettingSchema): string {
  const { example, derived } = schema;
  if (example !== undefined && derived === undefined) {
    return `"${name}": ${JSON.stringify(example)},`;
  }
  const value = example ?? derived ?? schema.default;
  return `// "${name}": ${JSON.stringify(value)},`;
}

function wrapped(text: string, prefix: string): string[] {
  const lines: string[] = [];
  let line = prefix.trimEnd();
  for (const word of text.split(' ')) {
    if (line.length + 1 + word.length > 100) {
      lines.push(line);
      line = prefix.trimEnd();
    }
    line += ` ${word}`;
  }
  return [...lines, line];
}
