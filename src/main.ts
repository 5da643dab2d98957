#!/usr/bin/env node
/**
 * Entry of the one program, from source by type stripping and from one bundled file alike. Always
 * holds: it ends with what the role ends with (main-roles.ts). An appliance has another entry,
 * which starts the same role (images/appliance/program.ts). Imports the roles.
 */
import { runRole } from './main-roles.ts';

await runRole();
