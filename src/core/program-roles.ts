/**
 * First arguments by which the one program is started for work of its own, besides the words of the
 * command line. Always holds: none of them is a verb that a person is told of. Pure.
 */

/** The installer process. */
export const INSTALLER_ROLE = '__installer';
/** The second thread of an installer that runs from source; only a thread is taken at this word. */
export const WORKER_ROLE = '__install-worker';
/** The maker of a support archive. */
export const SUPPORT_ROLE = '__support';
