/**
 * `--json` of every verb: one object on standard output, of a refusal too, and the schema that the
 * description of the API has for it, closed, so that an undescribed field is found. Imports the
 * command line, a daemon in memory and the judge of the API's answers.
 */
import t from 'tap';
import { allVerbs } from '../../src/cli/table.ts';
import { wrongBy } from '../control/description.ts';
import { openBench } from '../control/harness.ts';
import { preparationOf } from '../core/prepare-cases.ts';
import { jobStatus, rolloutRecord } from '../memory/backend.ts';
import { run } from './harness.ts';

type Json = Readonly<Record<string, unknown>>;

/** What is behind a command line: a schema of the API, or one for each of some fields. */
type Shape = string | Readonly<Record<string, string>>;

/** Command lines that are answered; `exit` and what stands last is there besides. */
const ANSWERED: readonly (readonly [line: string, shape: Shape, more?: readonly string[]])[] = [
  ['status', 'PairStatus'],
  ['history', { rollouts: 'RolloutRecord' }],
  ['history r1', 'RolloutRecord'],
  ['history show r1', 'RolloutRecord'],
  ['history --audit', { entries: 'AuditEntry' }],
  ['validate /a.bin', 'ValidateReport'],
  ['stage --list', { bundles: 'StagedBundle' }],
  ['stage /a.bin', 'JobStatus'],
  ['stage /a.bin --dry-run', 'ChangePreview'],
  ['update /a.bin', 'JobStatus'],
  ['update /a.bin --dry-run', 'PrecheckReport'],
  ['update /a.bin --estimate', 'PrecheckReport'],
  ['rollback', 'JobStatus'],
  ['rollback --dry-run', 'ChangePreview'],
  ['commit', 'JobStatus'],
  ['commit --dry-run', 'ChangePreview'],
  ['schedule list', 'AutomationView'],
  ['prepare status', 'PrepareView'],
  ['prepare status --ready', 'PrepareView'],
  ['prepare /a.bin', 'JobStatus'],
  ['prepare /a.bin --dry-run', 'ChangePreview'],
  ['prepare authorize', 'PrepareAnswer'],
  ['prepare configure', 'PrepareAnswer'],
  ['prepare ignore B --reason x', 'PrepareAnswer'],
  ['prepare heed B', 'PrepareAnswer'],
  ['prepare retry', 'PrepareAnswer'],
  ['prepare cancel', 'PrepareAnswer'],
  ['switchover --no-wait', 'ActAnswer'],
  ['switchover --dry-run', 'ChangePreview'],
  ['takeover --yes --reason x', 'ActAnswer'],
  ['stand-down', 'ActAnswer'],
  ['stand-down --dry-run', 'ChangePreview'],
  ['restart --yes --reason x --detach', 'JobStatus'],
  ['shutdown --yes --reason x --detach', 'JobStatus'],
  ['support --detach', 'JobStatus'],
  ['support list', 'SupportView'],
  ['settings show', 'SettingsView'],
  ['settings set idleMin 5', 'SettingAnswer'],
  ['storage status', 'StorageView', ['nodes']],
  ['storage verify', 'JobStatus'],
  ['storage verify --dry-run', 'ChangePreview'],
  ['storage resync', 'JobStatus'],
  ['job list', { jobs: 'JobStatus' }],
  ['job wait r9', 'JobStatus'],
  ['job cancel r1', 'JobStatus'],
  ['job pause', 'ActAnswer'],
  ['job resume', 'ActAnswer'],
  ['job log r1', 'Event'],
];

/** These have what only the command line knows, and are an object with these fields. */
const OWN: readonly (readonly [line: string, fields: readonly string[]])[] = [
  ['slots', ['slots']],
  ['cluster status', ['ready', 'state', 'ha', 'reform', 'nodes', 'alarms']],
  ['metrics', ['text']],
  ['config example', ['example']],
  ['completion fish', ['shell', 'script']],
  ['explain 24', ['codes', 'states', 'statuses']],
];

/** What is wrong with a value by a schema of the API. */
function wrong(name: string, value: unknown): readonly string[] {
  return wrongBy({ $ref: `#/components/schemas/${name}` }, value);
}

function wrongWith(shape: Shape, found: Json, more: readonly string[]): readonly string[] {
  if (typeof shape === 'string') {
    const kept = Object.entries(found).filter(([key]) => key !== 'exit' && !more.includes(key));
    const plain = Object.fromEntries(kept);
    return wrong(shape, shape === 'JobStatus' ? { exit: null, ...plain } : plain);
  }
  return Object.entries(shape).flatMap(([field, name]) => {
    const values = found[field];
    if (!Array.isArray(values)) return [`${field} is no list`];
    return values.flatMap((value) => wrong(name, value));
  });
}

t.test('answers are what the description of the API says', async (t) => {
  await using bench = await openBench();
  const { backend } = bench;
  backend.rollouts = [rolloutRecord({ id: 'r1' })];
  backend.preparation = preparationOf();
  backend.staged = [
    { bundle: 'a'.repeat(64), bytes: 7, product: 'x', version: '1.0.0', nodes: ['A'] },
  ];
  for (const [line, shape, more = []] of ANSWERED) {
    backend.jobTable.set('r9', jobStatus({ id: 'r9', state: 'done', exit: 0 }));
    backend.jobTable.set('r1', jobStatus({ id: 'r1' }));
    if (line.startsWith('job log')) backend.emit();
    const ran = await run([...line.split(' '), '--json', '--socket', bench.socketPath]);
    const found = ran.json() as Json;
    t.strictSame(wrongWith(shape, found, more), [], line);
    if (!line.startsWith('prepare status')) t.equal(ran.exit, 0, `${line}: ${ran.err}`);
    if (typeof found['exit'] === 'number') t.equal(found['exit'], ran.exit, line);
  }
  for (const [line, fields] of OWN) {
    const socket = /^(slots|cluster|metrics)/.test(line) ? ['--socket', bench.socketPath] : [];
    const ran = await run([...line.split(' '), '--json', ...socket]);
    t.equal(ran.exit, 0, `${line}: ${ran.err}`);
    t.hasProps(ran.json() as object, [...fields], line);
  }
});

t.test('a refusal is one object of every verb, and its exit is that of the command', async (t) => {
  for (const { name } of await allVerbs()) {
    const ran = await run([...name.split(' '), '--json', '--no-such-option']);
    const { error, exit } = ran.json() as Json;
    t.strictSame(wrong('ErrorReport', error), [], name);
    t.strictSame([exit, ran.exit], [2, 2], name);
  }
});
