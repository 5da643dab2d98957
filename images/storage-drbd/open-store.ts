/**
 * The objects on the mounted file system of a primary, with the room that clients may use of it.
 * Always holds: what is damaged is not served; closing waits for writes under way. Imports core and
 * the parts that a copy in a directory is made of.
 */
import { join } from 'node:path';
import type { Amount } from '../../src/core/store.ts';
import { Objects } from '../storage/objects.ts';
import { Room } from '../storage/room.ts';

/** How often the free space is looked at. */
const LOOK_MS = 1000;

/** Where the objects are. */
export interface OpenStoreOptions {
  readonly mountPoint: string;
  readonly formatLevel: () => number;
  /** Called after every look at the free space. */
  readonly onLook: () => void;
}

/** The objects of a primary. */
export class OpenStore implements AsyncDisposable {
  readonly objects: Objects;
  readonly room: Room;
  readonly #ticker: NodeJS.Timeout;

  private constructor(objects: Objects, room: Room) {
    this.objects = objects;
    this.room = room;
    this.#ticker = setInterval(() => void room.look().catch(() => undefined), LOOK_MS).unref();
  }

  /** Opens the objects. Throws `store.corrupt` when some of them cannot be read, `store.io`. */
  static async open({ mountPoint, formatLevel, onLook }: OpenStoreOptions): Promise<OpenStore> {
    const room = Room.plain(mountPoint);
    await room.look();
    room.onLook = onLook;
    const objects = await Objects.open({ dir: join(mountPoint, 'log'), room, formatLevel });
    if (objects.damage) {
      await objects[Symbol.asyncDispose]();
      throw objects.damage;
    }
    return new OpenStore(objects, room);
  }

  /** How much it is. */
  get amount(): Amount {
    return { records: this.objects.size, bytes: this.objects.valueBytes };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#ticker);
    await this.objects[Symbol.asyncDispose]();
  }
}
