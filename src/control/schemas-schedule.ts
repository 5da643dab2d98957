/**
 * Schemas of scheduled updates, tied to their types. Imports core and its own folder.
 */
import type { AutomationView, ScheduleView } from '../core/schedule-read.ts';
import { RESULT_WORDS, type Schedule, type ScheduleResult } from '../core/schedule.ts';
import { list, maybe, number, object, orNull, ref, text, time, whole } from './shape.ts';
import { words, wordsOf, yesNo, type Schema } from './shape.ts';
import { code } from './schemas-pair.ts';

/** Part of `NAMED`; read it there. */
export const SCHEDULE_SCHEMAS: Readonly<Record<string, Schema>> = {
  ScheduleView: object<ScheduleView>('An update that is to happen at a time.', {
    id: text(),
    state: wordsOf<Schedule['state']>({
      waiting: true,
      informing: true,
      claimed: true,
      ended: true,
    }),
    text: text('One sentence: what it waits for, or what it does.'),
    source: { type: 'object', description: 'A staged bundle, or a path that is read then.' },
    version: orNull(text()),
    options: object<Schedule['options']>('What was asked for besides.', {
      order: maybe(words(['active-first', 'standby-first'])),
      onSecondFailure: maybe(words(['hold', 'rollback'])),
      formatTarget: maybe(yesNo()),
      ignoreWindow: maybe(yesNo()),
    }),
    every: orNull(text('The repetition; null = once.')),
    zone: text('Time zone of IANA.'),
    dueAt: time('When the run is due.'),
    run: whole('Number of the run.'),
    job: text('Id of the job that this run is, once it has begun.'),
    informS: orNull(whole('Seconds that people have to answer; 0 = it waits for the answer.')),
    choicesMin: list(number('Minutes for which it may be put off now.')),
    deferrals: whole('How often this run was put off.'),
    deferralsMax: whole(),
    mayCancel: yesNo(),
    hold: orNull(ref('Reason')),
    last: orNull(
      object<ScheduleResult>('How the newest run ended, or that it was put off.', {
        run: whole(),
        word: words(RESULT_WORDS),
        at: time(),
        code: orNull(code),
        message: text(),
      }),
    ),
    asked: object<Schedule['asked']>('Who asked for it.', {
      by: text(),
      at: time(),
      reason: orNull(text()),
    }),
  }),
  AutomationView: object<AutomationView>('What is scheduled, and what holds updates up.', {
    schedules: list(ref('ScheduleView')),
    window: orNull(
      object<NonNullable<AutomationView['window']>>('Null = at any time.', {
        open: yesNo(),
        until: orNull(time('When it closes, or when the next one opens.')),
      }),
    ),
    inhibited: orNull(text('The file that stops updates, and what it says.')),
    clock: orNull(text('Why the clock is not to be believed.')),
    waiting: maybe(
      list(
        object<{ job: string; message: string }>('A job that waits for hooks.', {
          job: text(),
          message: text(),
        }),
      ),
    ),
  }),
};
