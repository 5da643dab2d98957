/**
 * How a thread that starts from the program's own entry learns that it is the installer's. Always
 * holds: nothing is loaded for it. Imports nothing.
 */

/** First argument of the thread; only a thread is taken at this word. */
export const WORKER_ROLE = '__install-worker';
