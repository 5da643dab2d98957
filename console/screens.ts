/**
 * Every screen by its name. Pure; imports the screens.
 */
import { cluster, details } from './screens/details.ts';
import { help, log } from './screens/log.ts';
import { overview } from './screens/overview.ts';
import { roles, slots } from './screens/slots.ts';
import { checks, choose, progress } from './screens/update.ts';
import type { Screen, ScreenName } from './state.ts';

/** Title, body and keys of each screen. */
export const SCREEN: Readonly<Record<ScreenName, Screen>> = {
  overview,
  details,
  cluster,
  choose,
  checks,
  progress,
  slots,
  roles,
  log,
  help,
};
