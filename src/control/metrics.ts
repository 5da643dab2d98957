/**
 * The picture of the pair as numbers for a monitoring system: OpenMetrics 1.0 text. Always holds:
 * what is not known has no sample, so nothing old is told as if it were true; names and labels are
 * only ever added; counters are those of this node and grow over restarts of its daemon. Imports
 * core. Format: https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
import type { BootReason } from '../core/boot.ts';
import { NODES } from '../core/model.ts';
import type { NodeStatus, PairStatus } from '../core/status.ts';

/** What this node has counted since its state directory was made. */
export interface Counters {
  readonly boots: Readonly<Partial<Record<BootReason, number>>>;
  readonly starts: number;
  /** Rollouts by kind and end, as in `update DONE`. */
  readonly rollouts: Readonly<Record<string, number>>;
}

/** Of a node that has counted nothing. */
export const NO_COUNTERS: Counters = { boots: {}, starts: 0, rollouts: {} };

/** Content type of the text. */
export const METRICS_TYPE = 'application/openmetrics-text; version=1.0.0; charset=utf-8';

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number | boolean | null];
type Kind = 'gauge' | 'counter' | 'info' | 'stateset';

const STATES: readonly PairStatus['state'][] = [
  'HEALTHY',
  'HEALTHY_MIXED',
  'UPDATING',
  'SYNCING',
  'EXPOSED',
  'ALONE',
  'FROZEN',
  'SAFE_MODE',
];

/** One family; samples without a value are left out, and a family without samples too. */
function family(name: string, kind: Kind, help: string, samples: readonly Sample[]): string[] {
  const known = samples.filter(([, value]) => value !== null);
  if (known.length === 0) return [];
  const unit = /_(seconds|bytes)$/.exec(name)?.[1];
  const ending = kind === 'counter' ? '_total' : kind === 'info' ? '_info' : '';
  return [
    `# TYPE ${name} ${kind}`,
    ...(unit === undefined ? [] : [`# UNIT ${name} ${unit}`]),
    `# HELP ${name} ${escaped(help)}`,
    ...known.map(([labels, value]) => `${name}${ending}${labelText(labels)} ${Number(value)}`),
  ];
}

const escaped = (text: string): string =>
  text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');

function labelText(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

/** A sample for each node, from what is known of it. */
function perNode(
  { nodes }: PairStatus,
  value: (node: NodeStatus) => number | boolean | null,
): readonly Sample[] {
  return NODES.map((node) => [{ node }, nodes[node].known ? value(nodes[node]) : null]);
}

const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1000);

/** The whole text, with its end mark. */
export function metricsText(status: PairStatus, counters: Counters): string {
  const lines = [
    ...pairLines(status),
    ...nodeLines(status),
    ...rolloutLines(status),
    ...counterLines(status, counters),
    '# EOF',
  ];
  return `${lines.join('\n')}\n`;
}

function pairLines(status: PairStatus): readonly string[] {
  const { state, ha, reforming, alarms, reform } = status;
  const codes = [...new Set(alarms.map(({ code }) => code))];
  const channels = reform.find(({ name }) => name === 'link')?.channels ?? [];
  const name = 'tandem_pair_state';
  return [
    ...family(
      name,
      'stateset',
      'State word of the pair.',
      STATES.map((one) => [{ [name]: one }, one === state]),
    ),
    ...family('tandem_pair_available', 'gauge', 'The loss of a node would not cost the service.', [
      [{}, ha.ok],
    ]),
    ...family('tandem_pair_exposed_seconds', 'gauge', 'For how long that has not been so.', [
      [{}, ha.ok ? 0 : (reforming?.elapsedS ?? null)],
    ]),
    ...family(
      'tandem_alarms',
      'gauge',
      'What needs a person, by code.',
      codes.map((code) => [{ code }, alarms.filter((one) => one.code === code).length]),
    ),
    ...family(
      'tandem_link_up',
      'gauge',
      'Ways to the peer that work.',
      channels.map(({ name: channel, up }) => [{ channel }, up]),
    ),
    ...family(
      'tandem_link_age_seconds',
      'gauge',
      'Time since the last message over a way to the peer.',
      channels.map(({ name: channel, ageMs }) => [{ channel }, seconds(ageMs)]),
    ),
  ];
}

function nodeLines(status: PairStatus): readonly string[] {
  const { nodes } = status;
  const known = NODES.map((node) => nodes[node]).filter((one) => one.known);
  return [
    ...family(
      'tandem_node',
      'info',
      'Versions and role of a node.',
      known.map(({ node, system, storage, program, role }) => [
        {
          node,
          system: system?.version ?? '',
          storage: storage?.version ?? '',
          program: program ?? '',
          role,
        },
        1,
      ]),
    ),
    ...family(
      'tandem_node_known',
      'gauge',
      'Facts of the node are fresh.',
      NODES.map((node) => [{ node }, nodes[node].known]),
    ),
    ...family(
      'tandem_node_facts_age_seconds',
      'gauge',
      'Age of what is known of the node.',
      NODES.map((node) => [{ node }, seconds(nodes[node].ageMs)]),
    ),
    ...each(status, 'tandem_node_serving', 'The node serves.', ({ serving }) => serving),
    ...each(status, 'tandem_node_admitted', 'It may take over.', ({ admitted }) => admitted),
    ...each(status, 'tandem_node_standing_down', 'It has promised not to take over.', (node) => {
      return node.standDown;
    }),
    ...each(status, 'tandem_node_epoch', 'Number of the last change of the active.', (node) => {
      return node.epoch;
    }),
    ...each(status, 'tandem_store_connected', 'Its copy is connected.', ({ store }) => {
      return store?.connected ?? null;
    }),
    ...each(status, 'tandem_store_current', 'Its copy has every acknowledged write.', (node) => {
      return node.store === null ? null : node.store.copy === 'current';
    }),
    ...each(status, 'tandem_sync_done_bytes', 'Sync of the store: what was sent.', (node) => {
      return node.store?.sync?.doneBytes ?? null;
    }),
    ...each(
      status,
      'tandem_sync_size_bytes',
      'Sync of the store: what there is to send.',
      (node) => {
        return node.store?.sync?.totalBytes ?? null;
      },
    ),
  ];
}

const each = (
  status: PairStatus,
  name: string,
  help: string,
  value: (node: NodeStatus) => number | boolean | null,
): readonly string[] => family(name, 'gauge', help, perNode(status, value));

function rolloutLines({ rollout }: PairStatus): readonly string[] {
  const running = rollout !== null && !rollout.ended;
  const labels = { id: rollout?.id ?? '', kind: rollout?.kind ?? '', phase: rollout?.phase ?? '' };
  return [
    ...family('tandem_rollout', 'info', 'The update that runs, or ran last.', [
      [{ ...labels, version: rollout?.version ?? '' }, rollout === null ? null : 1],
    ]),
    ...family('tandem_rollout_running', 'gauge', 'An update or a rollback is going on.', [
      [{}, running],
    ]),
    ...family('tandem_rollout_elapsed_seconds', 'gauge', 'For how long it has been going on.', [
      [{}, running ? rollout.elapsedS : null],
    ]),
  ];
}

function counterLines({ self: node }: PairStatus, counters: Counters): readonly string[] {
  const boots = Object.entries(counters.boots);
  const rollouts = Object.entries(counters.rollouts);
  return [
    ...family(
      'tandem_boots',
      'counter',
      'Boots of this node, by what the boot loader chose.',
      boots.map(([reason, count]) => [{ node, reason }, count]),
    ),
    ...family('tandem_daemon_starts', 'counter', 'Starts of the daemon of this node.', [
      [{ node }, counters.starts],
    ]),
    ...family(
      'tandem_rollouts',
      'counter',
      'Rollouts that this node has seen end, by kind and end.',
      rollouts.map(([name, count]) => {
        const [kind = '', end = ''] = name.split(' ');
        return [{ node, kind, end }, count];
      }),
    ),
  ];
}
