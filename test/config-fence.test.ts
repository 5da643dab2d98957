/**
 * The section `fence` of the configuration: the three kinds of fencer, the defaults, and every
 * contradiction with its line. Imports the configuration.
 */
import t from 'tap';
import { parseConfig, type Config } from '../src/config.ts';
import type { UpdateError } from '../src/core/errors.ts';

const FILE = '/etc/tandem/tandem.jsonc';

/** A good configuration with the given lines as its section `fence`. */
async function load(...section: string[]): Promise<Config> {
  const text = `{
  "node": "A", "product": "p", "hardware": "h",
  "link": { "listen": "127.0.0.1:1", "peer": "127.0.0.1:2" },
  "storage": { "listen": "127.0.0.1:3", "peer": "127.0.0.1:4" },
  "service": { "address": "127.0.0.1:5", "program": "x" },
  ${section.length === 0 ? '' : `"fence": {\n${section.join('\n')}\n},`}
}`;
  return parseConfig(text, FILE);
}

t.test('without a section there is no fencer, and a person decides', async (t) => {
  const manual = { policy: 'manual', fencer: { kind: 'none' }, headStartS: 2, afterFence: 'on' };
  t.strictSame((await load()).fence, manual);
  t.strictSame((await load('"fencer": { "kind": "none" }')).fence, manual);
});

t.test('the power switch of the peer', async (t) => {
  const { fence } = await load(
    '"policy": "fence", "headStartS": 0.5, "afterFence": "stay-off",',
    '"fencer": { "kind": "power", "socket": "../B/power.sock" }',
  );
  t.strictSame(fence, {
    policy: 'fence',
    fencer: { kind: 'power', socket: '/etc/B/power.sock' },
    headStartS: 0.5,
    afterFence: 'stay-off',
  });
});

t.test('an external command, with its time limit and the default one', async (t) => {
  const command = ['/usr/sbin/pdu', '--outlet={node}', '{action}', '{epoch}', ''];
  const fencer = `"fencer": { "kind": "command", "command": ${JSON.stringify(command)}`;
  t.strictSame((await load(`${fencer} }`)).fence.fencer, {
    kind: 'command',
    command,
    timeoutS: 20,
  });
  t.match((await load(`${fencer}, "timeoutS": 5 }`)).fence.fencer, { timeoutS: 5 });
});

const fencer = (text: string): string => `"fencer": { ${text} }`;
const FAULTS: readonly (readonly [name: string, section: string, setting: string])[] = [
  ['a policy that needs a fencer', '"policy": "fence"', 'fence.policy'],
  ['power without a socket', fencer('"kind": "power"'), 'fence.fencer.socket'],
  ['a command that lacks', fencer('"kind": "command"'), 'fence.fencer.command'],
  ['a socket without a kind', fencer('"socket": "/x"'), 'fence.fencer.socket'],
  [
    'a time limit for the wrong kind',
    fencer('"kind": "power", "socket": "/x", "timeoutS": 3'),
    'fence.fencer.timeoutS',
  ],
  [
    'a socket path that is too long',
    fencer(`"kind": "power", "socket": "/${'s'.repeat(107)}"`),
    'fence.fencer.socket',
  ],
  ['an unknown kind', fencer('"kind": "ipmi"'), 'fence.fencer.kind'],
  [
    'a program by its name alone',
    fencer('"kind": "command", "command": ["pdu", "{action}"]'),
    'fence.fencer.command',
  ],
  [
    'a command that is told no action',
    fencer('"kind": "command", "command": ["/pdu", "off"]'),
    'fence.fencer.command',
  ],
  [
    'a placeholder with a typing error',
    fencer('"kind": "command", "command": ["/pdu", "{action}", "{nodes}"]'),
    'fence.fencer.command',
  ],
  [
    'a placeholder as the program',
    fencer('"kind": "command", "command": ["/{action}", "{action}"]'),
    'fence.fencer.command',
  ],
  [
    'a command as one text',
    fencer('"kind": "command", "command": "/pdu {action}"'),
    'fence.fencer.command',
  ],
  ['an empty command', fencer('"kind": "command", "command": []'), 'fence.fencer.command'],
  [
    'a number as an argument',
    fencer('"kind": "command", "command": ["/pdu", 7]'),
    'fence.fencer.command.1',
  ],
  ['a head start that never ends', '"headStartS": 3600', 'fence.headStartS'],
];

for (const [name, section, setting] of FAULTS) {
  t.test(`${name} is refused`, async (t) => {
    const error = await load(section).then(
      () => null,
      (thrown: UpdateError) => thrown,
    );
    t.equal(error?.code, 'config.invalid');
    t.match(error?.detail, { line: 7, setting });
  });
}
