/**
 * The routes of scheduled updates: what there is, a new one, and what people answer. Always holds:
 * a change is on the disk of this node before it is answered. Imports core and its own folder.
 */
import { checkTimes } from '../core/schedule-time.ts';
import { SCHEDULE_ANSWER_SCHEMAS, SCHEDULE_SCHEMA } from './schedule-protocol.ts';
import type { ScheduleRequest, ScheduleWord } from './schedule-protocol.ts';
import { API } from './protocol.ts';
import { route, type Route } from './route.ts';
import { ref } from './shape.ts';

/** Part of `ROUTES`; read it there. */
export const SCHEDULE_ROUTES: readonly Route[] = [
  {
    method: 'GET',
    path: `${API}/schedules`,
    name: 'schedules',
    status: 200,
    summary: 'Scheduled updates, and what holds updates up: windows, files, the clock.',
    answer: { kind: 'json', schema: ref('AutomationView') },
    handle: ({ backend }) => backend.automation(),
  },
  route<ScheduleRequest>({
    method: 'POST',
    path: `${API}/schedules`,
    name: 'schedule',
    status: 200,
    summary: 'Schedules an update, once or again and again; it is on the disks of both nodes then.',
    body: { name: 'ScheduleRequest', schema: SCHEDULE_SCHEMA },
    answer: { kind: 'json', schema: ref('ScheduleView') },
    keyed: 'kept',
    handle: ({ backend, body, caller }) => {
      // Before a bundle is staged for it.
      checkTimes(body);
      return backend.schedule(body, caller);
    },
  }),
  route<ScheduleWord>({
    method: 'POST',
    path: `${API}/schedules/:id/answer`,
    name: 'answerSchedule',
    status: 200,
    summary: 'What a person says to a scheduled update: now, defer or cancel.',
    body: { name: 'ScheduleWord', by: 'answer', schemas: SCHEDULE_ANSWER_SCHEMAS },
    answer: { kind: 'json', schema: ref('ScheduleView') },
    keyed: 'kept',
    handle: ({ backend, params, body, caller }) =>
      backend.answerSchedule(params['id']!, body, caller),
  }),
];
