/**
 * The configuration: every kind of fault with its line, its setting and the accepted values; the
 * example; paths and defaults; and that schema and type say the same.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { FromSchema } from 'json-schema-to-ts';
import t from 'tap';
import { exampleConfig } from '../src/config-example.ts';
import { CONFIG_SCHEMA, type SettingSchema } from '../src/config-schema.ts';
import { loadConfig, parseAddress, parseConfig, type Config } from '../src/config.ts';
import { UpdateError } from '../src/core/errors.ts';

const GOOD = `{
  "node": "B", // the lower one
  "product": "appliance",
  "hardware": "rev1",
  "stateDir": "state",
  "link": { "listen": "127.0.0.1:7001", "peer": "[::1]:7002" },
  "storage": { "listen": "127.0.0.1:7003", "peer": "127.0.0.1:7004" },
  "service": { "address": "127.0.0.1:8080", "program": "opt/service.js" },
}
`;

/** The good file with one piece of text exchanged. */
function changed(from: string, to: string): string {
  if (!GOOD.includes(from)) throw new Error(`no ${from}`);
  return GOOD.replace(from, to);
}

async function failure(text: string): Promise<UpdateError> {
  try {
    await parseConfig(text, '/etc/tandem/tandem.jsonc');
  } catch (error) {
    if (error instanceof UpdateError) return error;
    throw error;
  }
  throw new Error('expected a refusal');
}

type Fault = readonly [name: string, text: string, line: number, setting: string, accepted: string];

const PEER = '"peer": "127.0.0.1:7004"';
const FAULTS: readonly Fault[] = [
  ['a wrong word', changed('"B"', '"C"'), 2, 'node', '"A" or "B"'],
  ['a wrong kind', changed('"appliance"', '7'), 3, 'product', 'lower-case letters'],
  ['a mistyped setting', changed('"stateDir"', '"statedir"'), 5, 'statedir', 'stateDir'],
  ['an unknown setting', changed('"stateDir"', '"colour"'), 5, 'colour', 'node, product'],
  [
    'a mistyped inner one',
    changed('"program"', '"progam"'),
    8,
    'service.progam',
    'service.program',
  ],
  ['a missing setting', changed('"node": "B",', ''), 1, 'node', '"A" or "B"'],
  ['a missing inner one', changed(`, ${PEER}`, ''), 7, 'storage.peer', 'host:port'],
  [
    'a number as text',
    changed('"stateDir": "state"', '"policy": {"tries": "2"}'),
    5,
    'policy.tries',
    'a whole number from 1 to 9',
  ],
  [
    'a number too high',
    changed('"stateDir": "state"', '"policy":\n{"tries": 10}'),
    6,
    'policy.tries',
    'a whole number from 1 to 9',
  ],
  [
    'a section as text',
    changed('"stateDir": "state"', '"policy": "fast"'),
    5,
    'policy',
    'an object',
  ],
  [
    'an address without port',
    changed('127.0.0.1:7001', '127.0.0.1'),
    6,
    'link.listen',
    'host:port',
  ],
  ['a port too high', changed(':7001', ':70010'), 6, 'link.listen', 'from 1 to 65535'],
  ['port 0 for a listener', changed(':7001', ':0'), 6, 'link.listen', 'from 1 to 65535'],
  [
    'a peer that is the node itself',
    changed(':7004', ':7003'),
    7,
    'storage.peer',
    'another address',
  ],
  [
    'a setting twice',
    changed('"stateDir"', '"node": "A",\n"stateDir"'),
    5,
    'node',
    'each setting once',
  ],
  [
    'an inner setting twice',
    changed(PEER, `${PEER},\n${PEER}`),
    8,
    'storage.peer',
    'each setting once',
  ],
  [
    'a path that no socket can have',
    changed('"stateDir": "state"', `"runDir": "/${'r'.repeat(100)}"`),
    1,
    'control.socket',
    'at most 107 bytes',
  ],
  ['an empty path', changed('"state"', '""'), 5, 'stateDir', 'a path'],
  ['broken JSON', changed('"B", //', '"B" //'), 3, '', 'JSON with comments'],
  ['a file that ends early', GOOD.slice(0, 120), 6, '', 'JSON with comments'],
  ['an empty file', '', 1, '', 'JSON with comments'],
  ['a list', '[]', 1, '', 'one object'],
  ['deep nesting', '['.repeat(100_000), 1, '', 'one object'],
  ['__proto__', changed('"stateDir"', '"__proto__"'), 5, '__proto__', 'node, product'],
];

for (const [name, text, line, setting, accepted] of FAULTS) {
  t.test(`${name} is refused`, async (t) => {
    const error = await failure(text);
    t.equal(error.code, 'config.invalid');
    t.match(error.detail, { file: '/etc/tandem/tandem.jsonc', line, setting });
    t.match(String(error.detail?.['accepted']), accepted);
    t.ok(error.message.startsWith(`/etc/tandem/tandem.jsonc:${line}: `), error.message);
    t.notSame(error.detail?.['found'], undefined);
  });
}

t.test('all faults are listed, first line first, what lacks last', async (t) => {
  const error = await failure('{\n"hardware": "X Y",\n"nodes": "A",\n"product": "p"}');
  const problems = error.detail?.['problems'] as string[];
  t.match(problems[0], ':2: hardware is "X Y"; accepted: lower-case');
  t.match(problems[1], ':3: nodes is not a setting; did you mean node?');
  t.match(problems.at(-1), 'is missing');
  t.equal(problems.length, 6);
  t.match(error.message, '(and 5 more)');
});

t.test('a file with comments, a trailing comma and a byte order mark loads', async (t) => {
  const folder = t.testdir({ 'tandem.jsonc': `\uFEFF${GOOD}` });
  const config = await loadConfig(join(folder, 'tandem.jsonc'));
  t.match(config, {
    node: 'B',
    stateDir: join(folder, 'state'),
    trustRoot: join(folder, 'state/trust/root.json'),
    hooksDir: '/etc/tandem/hooks.d',
    runDir: '/run/tandem',
    control: {
      socket: '/run/tandem/control.sock',
      consoleSocket: '/run/tandem/console.sock',
      group: 'tandem',
    },
    link: { listen: '127.0.0.1:7001', peer: '[::1]:7002', bulk: '127.0.0.1:0' },
    storage: { dataDir: join(folder, 'state/store'), socket: '/run/tandem/storage.sock' },
    slots: { driver: 'file', dir: join(folder, 'state/slots') },
    boot: { driver: 'file', dir: join(folder, 'state/boot') },
    policy: {
      order: 'active-first',
      onSecondFailure: 'hold',
      tries: 2,
      graceS: 20,
      deadmanS: 2700,
    },
  });
  t.equal(config.service.program, 'opt/service.js', 'stays relative to the root of the system');
});

t.test('an IPv6 listener gives an IPv6 bulk address', async (t) => {
  const config = await parseConfig(changed('127.0.0.1:7001', '[fe80::1]:7001'), '/x/t.jsonc');
  t.equal(config.link.bulk, '[fe80::1]:0');
  t.same(parseAddress(config.link.bulk), { host: 'fe80::1', port: 0 });
  t.same(parseAddress('node-b.local:22'), { host: 'node-b.local', port: 22 });
  for (const wrong of ['x', 'x:', ':1', 'x:70000', '::1:5', 'x:1:2']) {
    t.throws(() => parseAddress(wrong), { code: 'usage.invalid' }, wrong);
  }
});

/** The good file with more settings of the link. */
const line = (more: string): string => changed('[::1]:7002"', `[::1]:7002", ${more}`);

t.test('a serial line is optional; its path is absolute, its speed within limits', async (t) => {
  const none = await parseConfig(GOOD, '/etc/tandem/tandem.jsonc');
  t.match(none.link, { serial: null, serialBaud: 115_200 });
  const some = await parseConfig(line('"serial": "/dev/ttyS1", "serialBaud": 9600'), '/x/t.jsonc');
  t.match(some.link, { serial: '/dev/ttyS1', serialBaud: 9600 });
  t.equal(none.link.silentMs, 1200);
  const slow = await failure(line('"serialBaud": 2400'));
  t.match(slow.message, /serialBaud is 2400; accepted: a whole number from 9600 to 921600/);
  t.match(exampleConfig(), '// "serial": "/dev/ttyS1",');
});

t.test('the example loads, names every setting and has no long line', async (t) => {
  const text = exampleConfig();
  const config = await parseConfig(text, '/etc/tandem/tandem.jsonc');
  t.equal(config.node, 'A');
  for (const line of text.split('\n')) t.ok(line.length <= 100, line);
  const walk = (schema: SettingSchema): void => {
    for (const [name, inner] of Object.entries(schema.properties ?? {})) {
      t.ok(text.includes(`"${name}":`), name);
      t.ok(inner.description, `${name} is described`);
      walk(inner);
    }
  };
  walk(CONFIG_SCHEMA);
  // What belongs to one kind of fencer or to one driver contradicts the others.
  const shown = text
    .replaceAll(/^.*for (?:kind|driver) \w+",$/gm, '')
    .replaceAll(/^(\s*)\/\/ ("\w+":)/gm, '$1$2')
    .replaceAll(/"host of [^"]*"/g, '"h:0"');
  t.same((await parseConfig(shown, '/etc/tandem/tandem.jsonc')).policy, config.policy);
});

t.test('files that cannot be read', async (t) => {
  const folder = t.testdir({ plain: 'x' });
  await t.rejects(loadConfig(join(folder, 'none')), { code: 'file.not_found' });
  await t.rejects(loadConfig(join(folder, 'plain/none')), { code: 'file.not_found' });
  await t.rejects(loadConfig(folder), { code: 'file.unreadable' });
  const huge = join(folder, 'sub/huge.jsonc');
  mkdirSync(dirname(huge));
  writeFileSync(huge, Buffer.alloc(256 * 1024 + 1, 0x20));
  await t.rejects(loadConfig(huge), { code: 'file.unreadable', message: /at most 262144/ });
});

/**
 * Compiles only while every value that the schema accepts is a configuration, but for what is
 * derived.
 */
type Accepted = FromSchema<typeof CONFIG_SCHEMA>;
type Completed = Pick<Accepted, 'node' | 'product' | 'hardware' | 'policy'>;
const asConfig = (accepted: Completed): Pick<Config, keyof Completed> => accepted;

t.test('schema and type agree', async (t) => {
  t.same(
    Object.keys(CONFIG_SCHEMA.properties).toSorted(),
    Object.keys(await parseConfig(GOOD, '/x')).toSorted(),
  );
  t.type(asConfig, 'function');
});
