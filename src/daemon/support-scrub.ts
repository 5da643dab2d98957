/**
 * Takes out of texts and settings what must not leave the node. Always holds: secrets are kept out
 * of an archive by not reading the files that hold them; this is the second line, for what somebody
 * else's program wrote into a log. Pure; imports nothing.
 */
/** What stands where something was taken out. */
export const GONE = '***';

/** A private key in PEM, also one that was cut off. */
const PEM = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;
/** A secret key of minisign: its comment, then one line. */
const MINISIGN = /(secret key[^\n]*\n)[A-Za-z0-9+/=]{40,}/g;
/** A pairing code: seven groups of four (src/drivers/pair-code.ts). */
const PAIR_CODE = /\b(?:[0-9A-HJKMNP-TV-Z]{4}[- ]){6}[0-9A-HJKMNP-TV-Z]{4}\b/gi;
/** Words that name a secret. */
const SECRET =
  '(?:pass(?:word|wd|phrase)?|secret|token|authorization|recovery[-_ ]?code|private[-_ ]?key)';
/** `word=value`, `word: value`, `"word":"value"`, for words that name a secret. */
const NAMED = new RegExp(
  String.raw`(${SECRET}["']?\s*[:=]\s*)("[^"\n]*"|'[^'\n]*'|(?:Bearer |Basic )?[^\s,;}]+)`,
  'gi',
);
/** A key of an object that names one. */
const SECRET_KEY = new RegExp(`${SECRET}$`, 'i');
/** `--password value` on a command line. */
const OPTION = /(--?(?:pass(?:word|wd|phrase)?|secret|token)\s+)[^\s-]\S*/gi;

/** The text without what looks like a secret. */
export function scrub(text: string): string {
  return text
    .replace(PEM, GONE)
    .replace(MINISIGN, `$1${GONE}`)
    .replace(PAIR_CODE, GONE)
    .replace(NAMED, (_, word: string, value: string) => word + hidden(value))
    .replace(OPTION, `$1${GONE}`);
}

/** A value as JSON, each of its texts without what looks like a secret; it stays JSON. */
export function scrubbedJson(value: unknown): string {
  return `${JSON.stringify(value, clean, 1) ?? 'null'}\n`;
}

function clean(key: string, found: unknown): unknown {
  const plain = typeof found !== 'object' && found !== undefined;
  if (plain && SECRET_KEY.test(key)) return GONE;
  return typeof found === 'string' ? scrub(found) : found;
}

/** In the quotes that the value had. */
function hidden(value: string): string {
  const quote = /^["']/.exec(value)?.[0] ?? '';
  return `${quote}${GONE}${quote}`;
}

/**
 * The settings as they count, defaults included. The arguments of external programs stay away but
 * for the words that Tandem fills in: a power controller gets its password there.
 */
export function shownSettings(config: object): unknown {
  const shown: unknown = JSON.parse(JSON.stringify(config), (_, value: unknown) =>
    isCommand(value) ? shownCommand(value) : value,
  );
  return shown;
}

/** An array of texts that begins with an absolute path. */
function isCommand(value: unknown): value is readonly string[] {
  if (!Array.isArray(value) || !value.every((part) => typeof part === 'string')) return false;
  return value[0]?.startsWith('/') === true;
}

function shownCommand([program = '', ...args]: readonly string[]): readonly string[] {
  return [program, ...args.map((arg) => (/^(?:--?[\w-]+=)?\{\w+\}$/.test(arg) ? arg : GONE))];
}
