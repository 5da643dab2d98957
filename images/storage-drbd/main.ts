/**
 * The storage software on DRBD as a program: holds one copy of the replicated store (README beside
 * this file). Started as the one for copies in directories, with the same argument and the same
 * socket. Always holds: one process per data directory; after a start this copy is a secondary,
 * whatever was left in the kernel; an end in good order leaves nothing of it there. Composes the
 * modules of images/storage-drbd.
 */
import { mkdir, realpath } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Release } from '../../src/core/model.ts';
import { findPartitions } from '../../src/drivers/block-device.ts';
import type { PairKeys } from '../../src/drivers/keys.ts';
import type { StoreStatus } from '../../src/ports.ts';
import { Api } from '../storage/api.ts';
import { prepareProbe } from '../storage/health.ts';
import { FORMAT_MAX, FORMAT_MIN } from '../storage/limits.ts';
import { ALPN_DRBD, ReplicationLink } from '../storage/link.ts';
import {
  checkFormat,
  loadOwnKeys,
  lockData,
  readRelease,
  runProgram,
  untilEnd,
  type Settings,
} from '../storage/program.ts';
import { StateFile } from '../storage/state.ts';
import { DEVICE, secretOf } from './config.ts';
import { Copy } from './copy.ts';
import { FenceWord } from './fence.ts';
import { checkHealth, Pulse } from './health.ts';
import { Kernel, STORE_LABEL } from './kernel.ts';
import { OpenStore } from './open-store.ts';
import { answerPeer, operationsOf } from './operations.ts';
import { Peer } from './peer.ts';
import { bringUp, checkNoDirectoryStore } from './start.ts';
import { SyncMeter } from './sync-meter.ts';
import { Tender } from './tender.ts';
import { Verifier } from './verify.ts';
import { Volume } from './volume.ts';
import { Watcher } from './watcher.ts';

/** Where the file system is mounted while this node is primary. */
const MOUNT_POINT = '/run/tandem/store';

// Writes that are frozen in the kernel each hold one of the threads that work on files.
process.env['UV_THREADPOOL_SIZE'] ??= '16';

/** What the copy stands on: the kernel with DRBD, and what this node knows of its copy. */
interface Ground {
  readonly settings: Settings;
  readonly release: Release;
  readonly formatMax: number;
  /** Own directory on the data partition. */
  readonly dataDir: string;
  readonly keys: PairKeys;
  readonly kernel: Kernel;
}

/** Looks at everything that must be there before anything is changed, and loads the module. */
async function prepare(settings: Settings, stack: AsyncDisposableStack): Promise<Ground> {
  const { pair, listen, peer } = settings;
  const release = await readRelease(settings.releaseFile);
  const formatMax = Math.min(release.formatLevel ?? FORMAT_MIN, FORMAT_MAX);
  await mkdir(settings.dataDir, { recursive: true, mode: 0o700 });
  const parent = await realpath(settings.dataDir);
  stack.use(await lockData(parent));
  await checkNoDirectoryStore(parent);
  const dataDir = join(parent, 'drbd');
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  const keys = await loadOwnKeys(settings);
  const [disk] = await findPartitions([STORE_LABEL], null);
  const secret = secretOf(pair, [keys.spkiSha256, keys.peerSpkiSha256]);
  const kernel = new Kernel({ hostname: hostname(), listen, peer, disk: disk!.path, secret });
  await kernel.load();
  await kernel.configure();
  return { settings, release, formatMax, dataDir, keys, kernel };
}

/** The copy, a secondary, with whoever tends it and its comparison. */
async function openCopy(ground: Ground, stack: AsyncDisposableStack) {
  const { settings, release, formatMax, dataDir, kernel } = ground;
  const state = stack.use(await StateFile.open(dataDir, settings, async () => true));
  checkFormat(state.now.formatLevel, formatMax, release);
  await prepareProbe(dataDir);
  const fence = stack.use(await FenceWord.open());
  const volume = new Volume({ device: DEVICE, mountPoint: MOUNT_POINT });
  const meter = new SyncMeter();
  const watcher = stack.use(
    new Watcher({
      onState: (now, before) => {
        meter.follow(now, before, copy.store?.amount.bytes ?? state.now.counted?.bytes ?? 0);
        verifier.heard(now, before);
        copy.heard(now, before);
        tender.heard();
      },
      onHelper: (call) => tender.helper(call),
    }),
  );
  const onLook = (): void => copy.changed();
  const formatLevel = (): number => state.now.formatLevel;
  const openStore = async (): Promise<OpenStore> => {
    await volume.mount();
    return await OpenStore.open({ mountPoint: MOUNT_POINT, formatLevel, onLook });
  };
  const unmount = (): Promise<void> => volume.unmount();
  const { node } = settings;
  const parts = { kernel, watcher, openStore, unmount };
  const copy = new Copy({ ...parts, node, state, fence, meter, formatMax });
  const tender = stack.use(new Tender(copy));
  const verifier = stack.use(await Verifier.open(copy, dataDir));
  copy.verifyBrief = () => verifier.brief;
  await watcher.start();
  await bringUp({ kernel, volume, state, found: watcher.state });
  return { copy, tender, verifier };
}

async function run(settings: Settings): Promise<void> {
  const { node, pair, listen, peer: peerAddress, socket, silentMs } = settings;
  const ended = untilEnd(settings.followStdin === true);
  await using stack = new AsyncDisposableStack();
  const ground = await prepare(settings, stack);
  const { release, formatMax, dataDir, keys, kernel } = ground;
  const { copy, tender, verifier } = await openCopy(ground, stack);
  const split = { copy, tender, pair, dataDir };
  const peer = new Peer({
    node,
    pair,
    introduction: () => copy.introduction(pair),
    onHello: (hello) => {
      if (copy.heardPeer(hello)) void tender.rejoin().catch(() => undefined);
    },
    onFormat: async (level) => {
      checkFormat(level, formatMax, release);
      await copy.options.state.change({ formatLevel: level });
      copy.changed();
    },
    onQuestion: (question) => answerPeer({ copy, verifier, split }, question),
  });
  copy.peer = peer;
  const channel = { node, listen, peer: peerAddress, keys, alpn: ALPN_DRBD, silentMs };
  const link = stack.use(new ReplicationLink({ ...channel, onConnection: peer.attach }));
  const programDir = dirname(fileURLToPath(import.meta.url));
  const health = (): Promise<void> => checkHealth({ copy, link, tender, dataDir, programDir });
  const pulse = new Pulse(copy);
  const operations = operationsOf({ copy, verifier, split, release, pulse, health });
  const status = (): StoreStatus => copy.status();
  const api = stack.use(new Api({ path: socket, feed: copy.feed, status, operations }));
  tender.start();
  await link.start();
  await api.start();
  process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
  await ended;
  await copy.demote();
  await copy.inTurn(() => kernel.down());
}

const WORDS = `tandem storage on DRBD, disk format levels ${FORMAT_MIN}-${FORMAT_MAX}`;
await runProgram(process.argv[2], WORDS, run);
