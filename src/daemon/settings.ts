/**
 * The settings of a node, in one small JSON file on the data partition. Always holds: what counts
 * is what the file says as far as it can be read, else the default, so that a damaged file costs
 * nothing but its own values; a change is durable before it is answered; fields that a newer
 * program has written are kept. Imports core, the configuration, control and the atomic files.
 */
import { hostname, networkInterfaces } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import type { Caller, SettingRequest } from '../control/backend.ts';
import { asUpdateError, UpdateError } from '../core/errors.ts';
import { DEFAULT_SETTINGS, SETTING_KEYS, SETTING_RULES } from '../core/settings.ts';
import { SETTINGS_FILE, withSetting } from '../core/settings.ts';
import type { NetworkView, SettingAnswer, SettingKey } from '../core/settings.ts';
import type { Settings, SettingsView } from '../core/settings.ts';
import type { AuditLog } from './audit.ts';
import { readFileLimited, writeFileAtomic } from '../drivers/fs-atomic.ts';

const FILE_BYTES_MAX = 64 * 1024;
/** Everybody may know how a console writes dates. */
const FILE_MODE = 0o644;

/** The part of a configuration that is shown with the settings. */
export type SettingsConfig = Pick<Config, 'node' | 'stateDir' | 'runDir' | 'link' | 'service'>;

/** The settings of one node; the only one that writes its file. */
export class SettingsFile {
  readonly #config: SettingsConfig;
  readonly #path: string;
  /** As the file has it, with what this program does not know. */
  #kept: Readonly<Record<string, unknown>>;
  #settings: Settings;
  #changed: readonly SettingKey[];
  #problem: string | null;

  private constructor(config: SettingsConfig, path: string, found: Found) {
    this.#config = config;
    this.#path = path;
    this.#kept = found.kept;
    this.#settings = found.settings;
    this.#changed = found.changed;
    this.#problem = found.problem;
  }

  /** Reads the file; one that is missing or damaged is no error. */
  static async open(config: SettingsConfig): Promise<SettingsFile> {
    const path = join(config.stateDir, SETTINGS_FILE);
    const file = new SettingsFile(config, path, await read(path));
    await file.#publish();
    return file;
  }

  get settings(): Settings {
    return this.#settings;
  }

  /** The settings with the network as it is now. */
  view(): SettingsView {
    return {
      node: this.#config.node,
      settings: this.#settings,
      changed: this.#changed,
      problem: this.#problem,
      file: this.#path,
      network: networkOf(this.#config),
    };
  }

  /** Sets one value, durably. Throws `usage.invalid` with what is accepted, `state.io`. */
  async set(key: SettingKey, word: string): Promise<{ readonly changed: boolean }> {
    const settings = withSetting(this.#settings, key, word);
    if (settings === null) {
      const { accepted } = SETTING_RULES[key];
      throw new UpdateError('usage.invalid', `${key} is ${word}; accepted: ${accepted}`);
    }
    if (settings[key] === this.#settings[key] && this.#changed.includes(key)) {
      return { changed: false };
    }
    const kept = { ...this.#kept, schema: 1, [key]: settings[key] };
    await writeFileAtomic(this.#path, `${JSON.stringify(kept, null, 2)}\n`, { mode: FILE_MODE });
    this.#kept = kept;
    this.#settings = settings;
    this.#changed = SETTING_KEYS.filter((one) => one === key || this.#changed.includes(one));
    this.#problem = null;
    await this.#publish();
    return { changed: true };
  }

  /**
   * What counts, in the run directory: a console reads its speed there before anybody has logged
   * in. Without it a console takes its defaults, so a disk that is full stops nothing.
   */
  async #publish(): Promise<void> {
    const path = join(this.#config.runDir, SETTINGS_FILE);
    const text = `${JSON.stringify(this.#settings, null, 2)}\n`;
    await writeFileAtomic(path, text, { mode: FILE_MODE }).catch(() => {});
  }
}

/** Changes a setting for a person, and notes it in the audit log. */
export async function changeSetting(
  settings: Pick<SettingsFile, 'set'>,
  audit: AuditLog,
  { key, value, reason }: SettingRequest,
  caller: Caller,
): Promise<SettingAnswer> {
  const asked = {
    act: `settings set ${key}`,
    by: caller.name,
    via: caller.via,
    reason: reason ?? null,
  };
  return audit.around(asked, async () => {
    const { changed } = await settings.set(key, value);
    const message = `${key} is ${value} ${changed ? 'now' : 'already'}`;
    const result = changed ? 'done' : 'unchanged';
    return { value: { key, changed, message }, noted: { result, message } };
  });
}

interface Found {
  readonly kept: Readonly<Record<string, unknown>>;
  readonly settings: Settings;
  readonly changed: readonly SettingKey[];
  readonly problem: string | null;
}

async function read(path: string): Promise<Found> {
  const none = { kept: {}, settings: DEFAULT_SETTINGS, changed: [], problem: null };
  let text: string;
  try {
    text = (await readFileLimited(path, FILE_BYTES_MAX)).toString('utf8');
  } catch (cause) {
    const { code, message } = asUpdateError(cause);
    return code === 'file.not_found' ? none : { ...none, problem: message };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { ...none, problem: `${path} is not JSON: the defaults count` };
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { ...none, problem: `${path} holds no JSON object: the defaults count` };
  }
  return taken(value as Readonly<Record<string, unknown>>, path);
}

/** Each value by itself: a bad one costs nothing but itself. */
function taken(kept: Readonly<Record<string, unknown>>, path: string): Found {
  let settings = DEFAULT_SETTINGS;
  const changed: SettingKey[] = [];
  let problem: string | null = null;
  for (const key of SETTING_KEYS) {
    if (!Object.hasOwn(kept, key)) continue;
    const value = kept[key];
    const word = typeof value === 'string' || typeof value === 'number' ? String(value) : '';
    const next = withSetting(settings, key, word);
    if (next === null) {
      problem ??= `${key} in ${path} is not ${SETTING_RULES[key].accepted}: its default counts`;
      continue;
    }
    settings = next;
    changed.push(key);
  }
  return { kept, settings, changed, problem };
}

function networkOf({ link, service }: SettingsConfig): NetworkView {
  const interfaces = Object.entries(networkInterfaces()).flatMap(([name, addresses]) => {
    // The loopback says nothing about how this node is reached.
    const seen = (addresses ?? []).filter(({ internal }) => !internal);
    return seen.length === 0
      ? []
      : [{ name, addresses: seen.map(({ cidr, address }) => cidr ?? address) }];
  });
  const { listen, peer, bulk, serial, serialBaud } = link;
  return {
    host: hostname(),
    interfaces,
    link: { listen, peer, bulk },
    serial: serial === null ? null : `${serial}, ${serialBaud} bit/s`,
    service: service.address,
  };
}
