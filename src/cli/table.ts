/**
 * The verbs of the command line, in the order in which help shows them. Always holds: a verb's
 * module is loaded only when one of its words is used, so that `tandem status` loads neither the
 * bundle format nor the daemon. Imports the verb modules lazily.
 */
import type { Verb } from './verb.ts';

interface VerbGroup {
  /** First words of the verbs in this module. */
  readonly words: readonly string[];
  readonly load: () => Promise<readonly Verb[]>;
}

/** Which module has the verbs that begin with a word. */
export const TABLE: readonly VerbGroup[] = [
  {
    words: ['status', 'cluster', 'slots', 'metrics', 'history'],
    load: async () => (await import('./status.ts')).statusVerbs,
  },
  {
    words: ['validate', 'stage', 'update', 'rollback', 'commit'],
    load: async () => (await import('./update.ts')).updateVerbs,
  },
  { words: ['schedule'], load: async () => (await import('./schedule.ts')).scheduleVerbs },
  { words: ['prepare'], load: async () => (await import('./prepare.ts')).prepareVerbs },
  {
    words: ['switchover', 'takeover', 'stand-down'],
    load: async () => (await import('./operator.ts')).operatorVerbs,
  },
  {
    words: ['restart', 'shutdown'],
    load: async () => (await import('./power.ts')).powerVerbs,
  },
  { words: ['support'], load: async () => (await import('./support.ts')).supportVerbs },
  { words: ['console'], load: async () => (await import('./console.ts')).consoleVerbs },
  {
    words: ['settings'],
    load: async () => (await import('./settings.ts')).settingsVerbs,
  },
  { words: ['user'], load: async () => (await import('./user.ts')).userVerbs },
  { words: ['storage'], load: async () => (await import('./storage.ts')).storageVerbs },
  { words: ['job'], load: async () => (await import('./job.ts')).jobVerbs },
  { words: ['bundle'], load: async () => (await import('./bundle.ts')).bundleVerbs },
  { words: ['trust'], load: async () => (await import('./trust.ts')).trustVerbs },
  { words: ['pair'], load: async () => (await import('./pair.ts')).pairVerbs },
  { words: ['journal'], load: async () => (await import('./journal.ts')).journalVerbs },
  { words: ['daemon'], load: async () => (await import('./daemon.ts')).daemonVerbs },
  { words: ['config'], load: async () => (await import('./config.ts')).configVerbs },
  {
    words: ['completion'],
    load: async () => (await import('./completion.ts')).completionVerbs,
  },
  { words: ['explain'], load: async () => (await import('./explain.ts')).explainVerbs },
];

/** Every verb of every module, for help and for the checks of the table. */
export async function allVerbs(): Promise<readonly Verb[]> {
  const groups = await Promise.all(TABLE.map((group) => group.load()));
  return groups.flat();
}

/** The verbs whose name starts with this word; none when it is unknown. */
export async function verbsOf(word: string): Promise<readonly Verb[]> {
  const group = TABLE.find((entry) => entry.words.includes(word));
  if (group === undefined) return [];
  return (await group.load()).filter((verb) => verb.name.split(' ')[0] === word);
}
