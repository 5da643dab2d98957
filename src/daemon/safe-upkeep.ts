/**
 * What a node does in safe mode although it changes nothing of the pair: a support archive, a
 * restart, a shutdown. Always holds: the journal is not touched; a node in safe mode does not serve
 * and has told its peer nothing, so it leaves without a handover. Imports core, ports, the
 * contracts of control and its own folder.
 */
import type { Config } from '../config.ts';
import type { Caller, ControlBackend, JobRequest } from '../control/backend.ts';
import { UpdateError } from '../core/errors.ts';
import type { PowerKind, PowerView, PowerViews } from '../core/power.ts';
import type { JobStatus } from '../core/status.ts';
import type { Host } from '../ports.ts';
import type { LineLog } from '../updater/events.ts';
import { AuditLog } from './audit.ts';
import { JobDesk } from './job-desk.ts';
import { Jobs, newId } from './jobs.ts';
import { Support, type LiveSource } from './support.ts';
import { VERSION } from '../cli/version.ts';
import { ArchiveDesk } from './archive-desk.ts';

/** The part of a backend that works in safe mode too. */
export type SafeUpkeep = Pick<
  ControlBackend,
  'start' | 'newJobId' | 'jobs' | 'job' | 'cancel' | 'audit' | 'power'
> &
  Pick<ControlBackend, 'support' | 'supportArchive' | 'supportStream' | 'deleteSupport'>;

/** `error` is why the node is in safe mode, and refuses any other change; `lines` is the audit. */
export function safeUpkeep(
  config: Config,
  host: Host,
  error: UpdateError,
  live: readonly LiveSource[],
  lines: LineLog,
): SafeUpkeep {
  const now = (): string => new Date(host.nowMs()).toISOString();
  const jobs = new Jobs(() => [], now);
  const audit = new AuditLog(lines, config.node, now);
  const desk = new JobDesk(jobs, audit, { emit: () => undefined });
  const entry = process.argv[1] ?? '';
  const support = new Support({ config, program: VERSION, entry, nowMs: () => host.nowMs() });
  const archives = new ArchiveDesk({ desk, auditLog: audit, support, live });
  const refuse = (): never => {
    throw new UpdateError(error.code, error.message);
  };
  const start = async (request: JobRequest, caller: Caller): Promise<JobStatus> => {
    const { kind, reason = null } = request;
    const { name: by, via, job } = caller;
    const asked = { act: kind, by, via, reason, job };
    return audit.around(asked, async () => {
      const job = await Promise.resolve().then(() => {
        if (kind === 'support') return archives.start(asked);
        if (kind !== 'restart' && kind !== 'shutdown') return refuse();
        const id = asked.job ?? newId(kind);
        const words = `${kind} asked for by ${caller.name}, in safe mode`;
        return desk.begin(id, kind, asked, () =>
          kind === 'restart' ? host.reboot(words) : host.powerOff(words),
        );
      });
      return { value: job, noted: { result: 'accepted', message: job.message, job: job.id } };
    });
  };
  const known = (id: string): JobStatus => jobs.list().find((one) => one.id === id) ?? refuse();
  return {
    start,
    newJobId: (kind) => (kind === 'support' ? archives.newId() : newId(kind)),
    jobs: () => jobs.list(),
    job: known,
    cancel: async (id) => {
      const job = await Promise.resolve(known(id));
      jobs.abort(id);
      return job;
    },
    audit: (limit) => audit.recent(limit),
    power: () => safePower(config, error),
    support: () => archives.view(),
    supportArchive: (name) => archives.read(name),
    supportStream: (caller, reason, signal) => archives.stream(caller, reason, signal),
    deleteSupport: (name, caller) => archives.delete(name, caller),
  };
}

function safePower({ node }: Config, error: UpdateError): PowerViews {
  const view = (kind: PowerKind, does: string): PowerView => ({
    kind,
    node,
    refusal: null,
    forceable: false,
    handsOverTo: null,
    does,
    costs: [`Nothing: node ${node} is in safe mode (${error.code}) and does not serve.`],
    word: node,
  });
  return {
    restart: view('restart', `node ${node} restarts; the journal stays as it is`),
    shutdown: view('shutdown', `node ${node} goes off until somebody switches it on`),
  };
}
