/**
 * The settings of a node as a JSON Schema: kind, limits, default and one sentence for each. The
 * loader checks with it, the commented example is printed from it, so the two cannot differ. Always
 * holds: every setting has a description, and one that is not required has a default here or one
 * that is derived in config.ts and described by `derived`. Imports the schemas of some sections.
 */
import { AUTOMATION_SCHEMA, AUTOMATION_WORDS } from './config-automation.ts';
import { FENCE_SCHEMA } from './config-fence.ts';
import { INTERFACE_PATTERN, MACHINE_SCHEMAS, SERVICE_SCHEMAS } from './config-machine.ts';
import { POWER_SCHEMA } from './config-power.ts';
import { remoteSchema } from './config-remote.ts';

/** `host:port`, an IPv6 host in brackets. */
const ADDRESS = '^(\\[[0-9A-Fa-f:.]+\\]|[A-Za-z0-9._-]{1,253}):[0-9]{1,5}$';

/** Plain words that are printed for a pattern instead of the regular expression. */
export const PATTERN_WORDS: Readonly<Record<string, string>> = {
  [ADDRESS]: 'host:port with a port up to 65535, e.g. 127.0.0.1:7701 or [::1]:7701',
  '^[^\\u0000]+$': 'a path',
  '^[a-z0-9][a-z0-9._-]*$': 'lower-case letters, digits, dot, dash and underscore',
  [INTERFACE_PATTERN]: 'the name of a network interface',
  ...AUTOMATION_WORDS,
};

const address = { type: 'string', maxLength: 263, pattern: ADDRESS } as const;
const path = { type: 'string', maxLength: 4096, pattern: '^[^\\u0000]+$' } as const;
const word = {
  type: 'string',
  maxLength: 64,
  pattern: '^[a-z0-9][a-z0-9._-]*$',
} as const;

const POLICY = {
  type: 'object',
  description: 'How an update of the pair goes. A command line option overrides order and failure.',
  additionalProperties: false,
  default: {},
  properties: {
    order: {
      type: 'string',
      enum: ['active-first', 'standby-first'],
      default: 'active-first',
      description: 'Which node is updated first.',
    },
    onSecondFailure: {
      type: 'string',
      enum: ['hold', 'rollback'],
      default: 'hold',
      description:
        'When the second node fails for good: hold the pair in mixed versions, or roll it back.',
    },
    retries: {
      type: 'integer',
      minimum: 0,
      maximum: 10,
      default: 1,
      description: 'Further attempts on the second node after a failed one.',
    },
    tries: {
      type: 'integer',
      minimum: 1,
      maximum: 9,
      default: 2,
      description: 'Boot attempts of a trial before the boot loader falls back.',
    },
    graceS: {
      type: 'integer',
      minimum: 0,
      maximum: 3600,
      default: 20,
      description: 'Seconds after its boot during which the checks of a trial may still fail.',
    },
    stableS: {
      type: 'integer',
      minimum: 0,
      maximum: 3600,
      default: 20,
      description: 'Seconds that a trial must be stable before it counts as healthy.',
    },
    soakS: {
      type: 'integer',
      minimum: 0,
      maximum: 86400,
      default: 60,
      description: 'Seconds that the first node serves before the second one is touched.',
    },
    deadmanS: {
      type: 'integer',
      minimum: 5,
      maximum: 86400,
      default: 2700,
      description: 'Seconds without word of the driver after which a trial reverts itself.',
    },
    burnInH: {
      type: 'number',
      minimum: 0,
      maximum: 8760,
      default: 24,
      description:
        'Hours after an update until it is made permanent by itself; 0 = only by tandem commit.',
    },
    holdH: {
      type: 'number',
      minimum: 0,
      maximum: 8760,
      default: 168,
      description:
        'Hours that a pair may be held in two versions until the alarm says overdue; 0 = no limit.',
    },
  },
} as const;

/** The whole file. `example` is printed for a setting that has no default. */
export const CONFIG_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['node', 'product', 'hardware', 'link', 'storage', 'service'],
  properties: {
    node: {
      type: 'string',
      enum: ['A', 'B'],
      example: 'A',
      description: 'Which appliance of the pair this is; the other one is the other letter.',
    },
    product: {
      ...word,
      example: 'appliance',
      description: 'The product that bundles are made for; a bundle for another one is refused.',
    },
    hardware: {
      ...word,
      example: 'rev1',
      description: 'The hardware revision that a bundle must support.',
    },
    stateDir: {
      ...path,
      default: '/var/lib/tandem',
      description: 'Data partition: journal, depot, keys, trust root, logs. Never inside a slot.',
    },
    runDir: {
      ...path,
      default: '/run/tandem',
      description: 'Volatile files: sockets, unpacked storage software.',
    },
    rootDir: {
      ...path,
      default: '/',
      description: 'Root of the booted system, where /etc/tandem-release is read.',
    },
    hooksDir: {
      ...path,
      derived: '<rootDir>/etc/tandem/hooks.d',
      description: 'Directory with check.d, health.d and the other hooks.',
    },
    trustRoot: {
      ...path,
      derived: '<stateDir>/trust/root.json',
      description: 'The keys that may sign bundles.',
    },
    control: {
      type: 'object',
      description: 'The sockets on which the command line and the console talk to the daemon.',
      additionalProperties: false,
      default: {},
      properties: {
        socket: {
          ...path,
          derived: '<runDir>/control.sock',
          description: 'Unix socket for root and the group, without a login.',
        },
        consoleSocket: {
          ...path,
          derived: '<runDir>/console.sock',
          description: 'Unix socket that everyone may connect to; it takes a login first.',
        },
        group: {
          type: 'string',
          maxLength: 32,
          pattern: '^[a-z0-9][a-z0-9._-]*$',
          default: 'tandem',
          description:
            'Members of this group may use `socket`, as administrators, if the group exists.',
        },
      },
    },
    console: {
      type: 'object',
      description: 'The maintenance console on this node.',
      additionalProperties: false,
      default: {},
      properties: {
        serviceShell: {
          type: 'string',
          enum: ['off', 'on'],
          default: 'off',
          description:
            'An administrator may open a shell from a console, as the user that it runs as.',
        },
      },
    },
    link: {
      type: 'object',
      description: 'The authenticated link between the two nodes.',
      additionalProperties: false,
      required: ['listen', 'peer'],
      properties: {
        listen: {
          ...address,
          example: '192.168.77.1:7701',
          description: 'Where this node listens for its peer.',
        },
        peer: {
          ...address,
          example: '192.168.77.2:7701',
          description: 'Where the peer listens.',
        },
        bulk: {
          ...address,
          derived: 'host of link.listen, port 0',
          description: 'Where this node serves a bundle to its peer; port 0 = any free port.',
        },
        serial: {
          ...path,
          derived: 'no serial line',
          example: '/dev/ttyS1',
          description:
            'Serial line to the peer: a second channel of the link. No console may use the line.',
        },
        serialBaud: {
          type: 'integer',
          minimum: 9600,
          maximum: 921600,
          default: 115200,
          description: 'Bits per second of the serial line, the same on both nodes.',
        },
        silentMs: {
          type: 'integer',
          minimum: 600,
          maximum: 30_000,
          default: 1200,
          description:
            'Milliseconds without a word of the peer after which a channel counts as lost. More ' +
            'where a node may stand still for longer, as an emulated one; service waits as long.',
        },
      },
    },
    storage: {
      type: 'object',
      description: 'The storage software and its replication.',
      additionalProperties: false,
      required: ['listen', 'peer'],
      properties: {
        listen: {
          ...address,
          example: '192.168.77.1:7702',
          description: 'Where the storage software of this node listens for replication.',
        },
        peer: {
          ...address,
          example: '192.168.77.2:7702',
          description: 'Where the storage software of the peer listens.',
        },
        socket: {
          ...path,
          derived: '<runDir>/storage.sock',
          description: 'Unix socket of the storage software.',
        },
        dataDir: {
          ...path,
          derived: '<stateDir>/store',
          description: 'Where the replicated data lies. Never inside a slot.',
        },
      },
    },
    service: {
      type: 'object',
      description: 'The workload of the appliance and the address that follows the active node.',
      additionalProperties: false,
      required: ['address', 'program'],
      properties: {
        address: {
          ...address,
          example: '192.168.1.50:8080',
          description: 'The address that clients use; only the active node binds it.',
        },
        program: {
          ...path,
          example: 'opt/appliance/service.js',
          description:
            "Program of the workload, relative to rootDir; it is run with the node's own Node.",
        },
        ...SERVICE_SCHEMAS,
      },
    },
    ...MACHINE_SCHEMAS,
    policy: POLICY,
    automation: AUTOMATION_SCHEMA,
    fence: FENCE_SCHEMA,
    power: POWER_SCHEMA,
    remote: remoteSchema(address),
  },
} as const;

/** One node of the schema, as far as its readers need it. */
export interface SettingSchema {
  readonly type: 'object' | 'string' | 'integer' | 'number' | 'array';
  readonly description?: string;
  readonly properties?: Readonly<Record<string, SettingSchema>>;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly maxLength?: number;
  readonly default?: unknown;
  readonly derived?: string;
  readonly example?: string | number | readonly string[];
}

/** The schema of a setting by its dotted name, or undefined when there is no such setting. */
export function settingSchema(name: string): SettingSchema | undefined {
  let here: SettingSchema | undefined = CONFIG_SCHEMA;
  for (const part of name === '' ? [] : name.split('.')) {
    const known: Readonly<Record<string, SettingSchema>> = here?.properties ?? {};
    here = Object.hasOwn(known, part) ? known[part] : undefined;
  }
  return here;
}

/** The accepted values of a setting in words, for an error and for the example. */
export function acceptedValues(schema: SettingSchema): string {
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(' or ');
  if (schema.type === 'object') return 'an object { ... }';
  if (schema.type === 'string') {
    if (schema.pattern) return PATTERN_WORDS[schema.pattern] ?? 'text';
    return `text of at most ${schema.maxLength} characters`;
  }
  if (schema.type === 'array') return 'a list of texts [ ... ]';
  const kind = schema.type === 'integer' ? 'a whole number' : 'a number';
  return `${kind} from ${schema.minimum} to ${schema.maximum}`;
}
