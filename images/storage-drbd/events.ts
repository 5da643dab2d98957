/**
 * The text of `drbdsetup events2 --statistics`, read into the state of the one resource. Always
 * holds: a line is counted only when it is whole; colours, unknown kinds of lines and unknown
 * fields are passed over; a word that is not known stands for `unknown` and never for something
 * good. Format: drbdsetup-84(8), "events2"; words of the states: drbd user's guide 8.4. Pure;
 * imports nothing.
 */

/** Longest line that is kept. */
const LINE_CHARS_MAX = 4096;

/** State of a copy, the local one or the peer's. */
export type DiskState =
  | 'Diskless'
  | 'Attaching'
  | 'Detaching'
  | 'Failed'
  | 'Negotiating'
  | 'Inconsistent'
  | 'Outdated'
  | 'DUnknown'
  | 'Consistent'
  | 'UpToDate';

const DISK_STATES: ReadonlySet<string> = new Set<DiskState>([
  'Diskless',
  'Attaching',
  'Detaching',
  'Failed',
  'Negotiating',
  'Inconsistent',
  'Outdated',
  'DUnknown',
  'Consistent',
  'UpToDate',
]);

/** What the kernel said last; null = it has nothing of this kind. */
export interface DrbdState {
  readonly role: 'Primary' | 'Secondary' | 'Unknown';
  readonly peerRole: 'Primary' | 'Secondary' | 'Unknown';
  /** Input and output wait for a word about the lost peer. */
  readonly frozen: boolean;
  /** They wait for any other reason. */
  readonly suspended: boolean;
  /** `Connected`, `Connecting`, `StandAlone`, ... as the kernel says; null without a connection. */
  readonly connection: string | null;
  readonly disk: DiskState | null;
  readonly peerDisk: DiskState | null;
  /** `Established`, `SyncSource`, `VerifyS`, ...; `Off` without a connection. */
  readonly replication: string | null;
  /** Bytes that are known to differ; null when it was not said. */
  readonly outOfSyncBytes: number | null;
}

/** Before the kernel has said anything, and when it has no such resource. */
export const NOTHING: DrbdState = {
  role: 'Unknown',
  peerRole: 'Unknown',
  frozen: false,
  suspended: false,
  connection: null,
  disk: null,
  peerDisk: null,
  replication: null,
  outOfSyncBytes: null,
};

/** A helper that the kernel calls, or its answer. */
export interface HelperCall {
  readonly helper: string;
  /** Exit status; null while it runs. */
  readonly status: number | null;
}

/** One line, taken apart. */
export interface EventLine {
  readonly verb: string;
  readonly kind: string;
  readonly fields: ReadonlyMap<string, string>;
}

// eslint-disable-next-line no-control-regex -- colours begin with the control character ESC
const COLOURS = /\u001b\[[0-9;?]*[A-Za-z]/g;

/** Takes a line apart; null for an empty one. */
export function parseLine(text: string): EventLine | null {
  const [verb = '', kind = '', ...words] = text.replaceAll(COLOURS, '').trim().split(/\s+/);
  if (verb === '' || kind === '') return null;
  const fields = new Map<string, string>();
  for (const word of words) {
    const colon = word.indexOf(':');
    if (colon > 0) fields.set(word.slice(0, colon), word.slice(colon + 1));
  }
  return { verb, kind, fields };
}

/** Cuts what arrives in pieces into lines; a line that is too long is passed over. */
export function lineReader(onLine: (line: string) => void): (chunk: string) => void {
  let rest = '';
  let skipping = false;
  return (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      if (!skipping && line.length <= LINE_CHARS_MAX) onLine(line);
      skipping = false;
    }
    if (rest.length <= LINE_CHARS_MAX) return;
    rest = '';
    skipping = true;
  };
}

function roleOf(word: string | undefined, before: DrbdState['role']): DrbdState['role'] {
  if (word === undefined) return before;
  return word === 'Primary' || word === 'Secondary' ? word : 'Unknown';
}

function diskOf(word: string | undefined, before: DiskState | null): DiskState | null {
  if (word === undefined) return before;
  return DISK_STATES.has(word) ? (word as DiskState) : 'DUnknown';
}

/** The state after a line of `exists`, `create`, `change` or `destroy`. */
export function stateAfter(state: DrbdState, line: EventLine): DrbdState {
  const { verb, kind, fields } = line;
  const gone = verb === 'destroy';
  if (!gone && verb !== 'exists' && verb !== 'create' && verb !== 'change') return state;
  switch (kind) {
    case 'resource': {
      if (gone) return NOTHING;
      const why = fields.get('suspended')?.split(',');
      return {
        ...state,
        role: roleOf(fields.get('role'), state.role),
        frozen: why === undefined ? state.frozen : why.includes('fencing'),
        suspended:
          why === undefined ? state.suspended : why.some((w) => w !== 'no' && w !== 'fencing'),
      };
    }
    case 'connection':
      if (gone) return { ...state, connection: null, peerRole: 'Unknown' };
      return {
        ...state,
        connection: fields.get('connection') ?? state.connection,
        peerRole: roleOf(fields.get('role'), state.peerRole),
      };
    case 'device':
      return { ...state, disk: gone ? null : diskOf(fields.get('disk'), state.disk) };
    case 'peer-device': {
      if (gone) return { ...state, peerDisk: null, replication: null, outOfSyncBytes: null };
      const kib = Number(fields.get('out-of-sync') ?? Number.NaN);
      return {
        ...state,
        replication: fields.get('replication') ?? state.replication,
        peerDisk: diskOf(fields.get('peer-disk'), state.peerDisk),
        outOfSyncBytes: Number.isSafeInteger(kib) ? kib * 1024 : state.outOfSyncBytes,
      };
    }
    default:
      return state;
  }
}

/** The call of a helper that a line tells of; null for any other line. */
export function helperOf({ verb, kind, fields }: EventLine): HelperCall | null {
  const helper = fields.get('helper');
  if (kind !== 'helper' || helper === undefined) return null;
  if (verb === 'call') return { helper, status: null };
  const status = Number(fields.get('status') ?? Number.NaN);
  return verb === 'response' ? { helper, status: Number.isInteger(status) ? status : -1 } : null;
}

/** True for the line that ends the picture which every reader gets first. */
export const endsPicture = ({ verb, kind }: EventLine): boolean =>
  verb === 'exists' && kind === '-';
