/**
 * Counts of promises to stand down, reduced to "the newest one" (1) and "an earlier one" (0),
 * since the machine only asks whether two counts are the same: with a node's next promise every
 * count of it that somebody else holds becomes an earlier one. Only tests import it.
 */
import type { NodeReport } from '../../src/core/report.ts';
import type { Site, Sites } from './site.ts';

/** Did this node make a promise that is not reduced yet? */
export const isCounted = ({ record }: Site): boolean => (record.promises ?? 0) > 1;

/** The report of a node that has promised since: what it says of its promises is old. */
export const outdated = (report: NodeReport): NodeReport =>
  (report.record.promises ?? 0) === 0
    ? report
    : { ...report, record: { ...report.record, promises: 0 } };

/** The report to a node that has promised since: it admits after an earlier promise. */
export const outspoken = (report: NodeReport): NodeReport =>
  report.admits === null ? report : { ...report, admits: { ...report.admits, promises: 0 } };

/** The node that made the promise. */
export function promised(sites: Sites, site: Site): Site {
  const { record, world } = site;
  const peer = world?.peer ?? null;
  return sites.make({
    ...site,
    record: { ...record, promises: 1 },
    world: world === null ? null : { ...world, peer: peer === null ? null : outspoken(peer) },
  });
}

/** Its peer, which does not know of it yet. */
export function unaware(sites: Sites, site: Site): Site {
  const { world } = site;
  if (world === null || world.peer === null) return site;
  return sites.make({ ...site, world: { ...world, peer: outdated(world.peer) } });
}
