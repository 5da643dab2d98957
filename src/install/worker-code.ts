/**
 * The code of the installer's worker thread, as text: src/install/worker.ts with all that it
 * imports, and no more, where the program was built (scripts/build-plugins.ts puts it in place of
 * this file); null where the program runs from source. Always holds: a thread that is started from
 * it does what one from worker.ts does; it keeps a few dozen KiB of text in memory in place of the
 * whole program. Imports nothing.
 */

/** A script, or null. */
export const WORKER_CODE = null as string | null;
