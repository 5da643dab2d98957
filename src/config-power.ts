/**
 * The section `power` of the configuration: its type, its schema, and what the schema cannot say.
 * Imports nothing.
 */

/** How a boot ends on this machine; null = an exit status asks the supervisor of the program. */
export interface PowerConfig {
  /** Program and arguments that restart the machine. */
  readonly restart: readonly string[] | null;
  /** Program and arguments that switch it off. */
  readonly shutdown: readonly string[] | null;
}

const command = {
  type: 'array',
  minItems: 1,
  maxItems: 16,
  items: { type: 'string', maxLength: 1024, pattern: '^[^\\u0000]*$' },
} as const;

/** JSON Schema of the section. */
export const POWER_SCHEMA = {
  type: 'object',
  description: 'How the machine is restarted and switched off.',
  additionalProperties: false,
  default: {},
  properties: {
    restart: {
      ...command,
      example: ['/sbin/reboot'],
      derived: 'none: exit status 42 asks the supervisor of the program',
      description: 'Program (absolute path) and arguments that restart it.',
    },
    shutdown: {
      ...command,
      example: ['/sbin/poweroff'],
      derived: 'none: exit status 43 asks the supervisor of the program',
      description: 'Program (absolute path) and arguments that switch it off.',
    },
  },
} as const;

/** The section as the schema accepts it. */
export type GivenPower = Partial<Record<keyof PowerConfig, readonly string[]>>;

/** Completes the section. */
export function completePower({ restart, shutdown }: GivenPower): PowerConfig {
  return { restart: restart ?? null, shutdown: shutdown ?? null };
}

/** Tells `add` what cannot be run. */
export function checkPower(
  given: GivenPower,
  add: (setting: string, found: string, accepted: string) => void,
): void {
  for (const name of ['restart', 'shutdown'] as const) {
    const program = given[name]?.[0];
    if (program === undefined || program.startsWith('/')) continue;
    add(`power.${name}`, JSON.stringify(program), 'an absolute path as the program');
  }
}
