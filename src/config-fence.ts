/**
 * The section `fence` of the configuration: its type, its schema, and what the schema cannot say.
 * Always holds: a completed section names exactly what its kind of fencer needs, and the policy
 * `fence` is never accepted without a fencer. Imports node alone.
 */
import { resolve } from 'node:path';

/** How this node can switch its peer off. */
export type FencerConfig =
  | { readonly kind: 'none' }
  /** The supervisor of the peer, by its socket. */
  | { readonly kind: 'power'; readonly socket: string }
  /** An external program; see src/drivers/fence-command.ts. */
  | { readonly kind: 'command'; readonly command: readonly string[]; readonly timeoutS: number };

/** The completed section. */
export interface FenceConfig {
  /** `manual`: a standby never takes over by itself; `fence`: after it has fenced the active. */
  readonly policy: 'manual' | 'fence';
  readonly fencer: FencerConfig;
  /** Seconds that the standby waits before it fences, so that the active is first in a race. */
  readonly headStartS: number;
  /** Whether a peer that was fenced gets its power back. */
  readonly afterFence: 'on' | 'stay-off';
}

/** Time limit of the external program when none is given. */
const TIMEOUT_S = 20;

/** Schema of the section. */
export const FENCE_SCHEMA = {
  type: 'object',
  description: 'What happens when the peer is lost: who may go on, and how the other is stopped.',
  additionalProperties: false,
  default: {},
  properties: {
    policy: {
      type: 'string',
      enum: ['manual', 'fence'],
      default: 'manual',
      description:
        'manual = a person decides about a takeover; fence = the standby takes over by itself ' +
        'once the fencer has proved that the active is off.',
    },
    fencer: {
      type: 'object',
      description: 'The way to the power switch of the peer.',
      additionalProperties: false,
      default: {},
      properties: {
        kind: {
          type: 'string',
          enum: ['none', 'power', 'command'],
          default: 'none',
          description:
            'none = there is no way; power = the supervisor of the peer, on this machine; ' +
            'command = an external program.',
        },
        socket: {
          type: 'string',
          maxLength: 4096,
          pattern: '^[^\\u0000]+$',
          derived: 'none, needed for kind power',
          description: "Kind power: the unix socket of the peer's supervisor.",
        },
        command: {
          type: 'array',
          minItems: 1,
          maxItems: 64,
          items: { type: 'string', maxLength: 1024, pattern: '^[^\\u0000]*$' },
          derived: 'none, needed for kind command',
          description:
            'Kind command: program (absolute path) and arguments; {node}, {epoch} and {action} ' +
            'are filled in. Actions: off, on, status, self-test.',
        },
        timeoutS: {
          type: 'integer',
          minimum: 1,
          maximum: 300,
          derived: `${TIMEOUT_S} for kind command`,
          description: 'Kind command: seconds after which an action counts as unknown.',
        },
      },
    },
    headStartS: {
      type: 'number',
      minimum: 0,
      maximum: 60,
      default: 2,
      description:
        'Seconds that a standby waits before it fences: the active comes first. Silence before ' +
        'the link counts as lost is a part of them, up to half.',
    },
    afterFence: {
      type: 'string',
      enum: ['on', 'stay-off'],
      default: 'on',
      description: 'Whether a peer that was fenced gets its power back, or stays off for a person.',
    },
  },
} as const;

/** The section as the schema accepts it, defaults filled in. */
export interface GivenFence extends Omit<FenceConfig, 'fencer'> {
  readonly fencer: {
    readonly kind: FencerConfig['kind'];
    readonly socket?: string;
    readonly command?: readonly string[];
    readonly timeoutS?: number;
  };
}

/** Completes the section; a relative socket starts at `folder`. */
export function completeFence(given: GivenFence, folder: string): FenceConfig {
  return { ...given, fencer: completeFencer(given.fencer, folder) };
}

function completeFencer(given: GivenFence['fencer'], folder: string): FencerConfig {
  const { kind, socket, command, timeoutS } = given;
  if (kind === 'power')
    return { kind, socket: socket === undefined ? '' : resolve(folder, socket) };
  if (kind === 'command') return { kind, command: command ?? [], timeoutS: timeoutS ?? TIMEOUT_S };
  return { kind };
}

/** Settings that belong to a kind; the first one of each is needed. */
const BELONGS: Readonly<Record<FencerConfig['kind'], readonly string[]>> = {
  none: [],
  power: ['socket'],
  command: ['command', 'timeoutS'],
};

/** Tells `add` what contradicts itself in the section. */
export function checkFence(
  given: GivenFence,
  add: (setting: string, found: string, accepted: string) => void,
): void {
  const { kind, command } = given.fencer;
  const belongs = BELONGS[kind];
  const [needed] = belongs;
  for (const name of Object.keys(given.fencer)) {
    if (name === 'kind' || belongs.includes(name)) continue;
    add(`fence.fencer.${name}`, 'given', `no such setting for fence.fencer.kind "${kind}"`);
  }
  if (needed !== undefined && !Object.hasOwn(given.fencer, needed)) {
    add(`fence.fencer.${needed}`, 'missing', `it is needed for fence.fencer.kind "${kind}"`);
  }
  if (given.policy === 'fence' && kind === 'none') {
    add('fence.policy', '"fence"', '"manual", because fence.fencer.kind is "none"');
  }
  if (kind === 'command' && command !== undefined) checkCommand(command, add);
}

function checkCommand(
  command: readonly string[],
  add: (setting: string, found: string, accepted: string) => void,
): void {
  const [program = '', ...args] = command;
  const setting = 'fence.fencer.command';
  if (!program.startsWith('/') || /[{}]/.test(program)) {
    add(setting, JSON.stringify(program), 'an absolute path as the program, without placeholders');
  }
  const unknown = args.join('\n').match(/\{(?!(?:node|epoch|action)\})[^}\n]*\}?/);
  if (unknown !== null) add(setting, unknown[0], 'the placeholders {node}, {epoch}, {action}');
  if (!args.some((text) => text.includes('{action}'))) {
    // Without it a question for the status would do whatever the program does.
    add(setting, 'without {action}', 'arguments of which one holds {action}');
  }
}
