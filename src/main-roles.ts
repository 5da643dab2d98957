/**
 * The roles of the one program: command line, daemon, installer process and its worker threads,
 * maker of support archives. Always holds: only this file reads argv and sets the exit status, and
 * it loads no more than the role that was asked for. May import cli/, and lazily the installer and
 * the maker of archives.
 */
import { INSTALLER_ROLE, SUPPORT_ROLE, WORKER_ROLE } from './core/program-roles.ts';

/** Runs the role that this process or thread was started for, to its end. */
export async function runRole(): Promise<void> {
  if (process.argv[2] === WORKER_ROLE && (await isWorkerThread())) {
    await import('./install/worker.ts');
  } else if (process.argv[2] === INSTALLER_ROLE) {
    const { runInstaller } = await import('./installer.ts');
    await runInstaller();
  } else if (process.argv[2] === SUPPORT_ROLE) {
    const { runSupport } = await import('./daemon/support-child.ts');
    await runSupport();
  } else {
    const { processIo } = await import('./cli/io.ts');
    const { runCommand } = await import('./cli/run.ts');
    process.exitCode = await runCommand(process.argv.slice(2), processIo());
  }
}

/** Asked only where it matters: a start with threads takes longer. */
async function isWorkerThread(): Promise<boolean> {
  const { isMainThread } = await import('node:worker_threads');
  return !isMainThread;
}
