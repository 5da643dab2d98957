/**
 * Every screen by its name. Pure; imports the screens.
 */
import { cluster, details } from './screens/details.ts';
import { help, log } from './screens/log.ts';
import { advice, more } from './screens/more.ts';
import { overview } from './screens/overview.ts';
import { power, support } from './screens/power.ts';
import { settings } from './screens/settings.ts';
import { roles, slots } from './screens/slots.ts';
import { timed } from './screens/timed.ts';
import { checks, choose, progress } from './screens/update.ts';
import { login, users, who } from './screens/who.ts';
import type { Screen, ScreenName } from './state.ts';

/** Title, body and keys of each screen. */
export const SCREEN: Readonly<Record<ScreenName, Screen>> = {
  overview,
  details,
  cluster,
  choose,
  checks,
  progress,
  timed,
  slots,
  roles,
  log,
  more,
  power,
  support,
  settings,
  who,
  users,
  advice,
  login,
  help,
};
