/**
 * The effects that end something for certain: this node's own service, its boot, and the peer's
 * power (docs/ARCHITECTURE.md, R2 and R3). Imports core and ports.
 */
import { UpdateError } from '../core/errors.ts';
import type { NodeId } from '../core/model.ts';
import type { Effect, Event } from '../core/state.ts';
import type { Fencer, Host, ServiceAddress, StorageSoftware, Store } from '../ports.ts';

/** How long a demotion may take before the node cuts its own power. */
export const DEMOTION_MS = 5000;
/** How long the way to a restart may take before the node cuts its own power instead. */
export const REBOOT_MS = 15_000;
/** How long giving a fenced peer its power back may take. */
const RESTORE_MS = 30_000;

type Dispatch = (event: Event) => Promise<boolean>;

/**
 * Lets service and storage go. A demotion that hangs may leave something that acknowledges writes:
 * then the node cuts its own power. Storage software that does not run acknowledges nothing and is
 * no reason to.
 */
export async function release(
  ports: { readonly host: Host; readonly service: ServiceAddress; readonly store: Store },
  demotionMs: number,
  dispatch: Dispatch,
): Promise<void> {
  const { host, service, store } = ports;
  const letGo = async (): Promise<'done'> => {
    try {
      await service.release();
    } finally {
      // An address that does not go is no reason to go on acknowledging writes.
      await store.demote();
    }
    return 'done';
  };
  const limit = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => limit.resolve('late'), demotionMs);
  try {
    const ended = await Promise.race([letGo(), limit.promise]);
    if (ended === 'late' && store.status().role === 'primary') {
      host.hardReset('the service could not be let go');
    }
    if (ended === 'late') throw new UpdateError('service.failed', 'the service is not let go yet');
  } finally {
    clearTimeout(timer);
  }
  await dispatch({ type: 'serving', epoch: null });
}

/** What has to end before a boot does. */
export interface LeavePorts {
  readonly host: Host;
  readonly service: ServiceAddress;
  readonly storage: StorageSoftware;
}

/**
 * Ends what runs here, then the boot. A part that hangs, in a dead disk for instance, must not keep
 * the node in a boot that it has to leave: then it cuts its own power, which waits for nothing and
 * comes back by itself.
 */
export async function leave(
  ports: LeavePorts,
  how: 'reboot' | 'power-off',
  reason: string,
  limitMs: number,
): Promise<never> {
  const { host, service, storage } = ports;
  const end = async (): Promise<never> => {
    // What cannot be let go here goes with the boot; a node must not be kept in it by that.
    await service.release().catch(() => undefined);
    await storage.stop();
    return how === 'reboot' ? host.reboot(reason) : host.powerOff(reason);
  };
  const limit = Promise.withResolvers<void>();
  const timer = setTimeout(() => limit.resolve(), limitMs);
  try {
    await Promise.race([end(), limit.promise]);
  } finally {
    clearTimeout(timer);
  }
  return host.hardReset(`${reason}; its ${how === 'reboot' ? 'restart' : 'shutdown'} hung`);
}

/** Switches the peer off; only one that is provably off counts, anything else is tried again. */
export async function fence(
  fencer: Fencer,
  { epoch, since }: Effect & { do: 'fence' },
  peer: NodeId,
  dispatch: Dispatch,
  signal: AbortSignal,
): Promise<void> {
  const order = { epoch, peer };
  const outcome = await fencer.fence(order, signal);
  if (outcome !== 'off') {
    const message = `node ${peer} could not be switched off (${outcome})`;
    throw new UpdateError(outcome === 'failed' ? 'fence.failed' : 'fence.unknown', message);
  }
  await dispatch({ type: 'peer-off', word: 'fence', since });
  // The effect is not wanted any more by now, but its peer shall come back.
  await fencer.restore(order, AbortSignal.timeout(RESTORE_MS));
}
