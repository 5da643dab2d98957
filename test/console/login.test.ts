/**
 * Consoles at the console socket of a daemon with real logins: the way in and out, failures with
 * their wait, a first user who is missing, a code that an administrator makes at one console and
 * its user types at another one, the right to change, idle time and the lock, a session that the
 * daemon ends; and the requests of power, support bundles and settings.
 */
import { join } from 'node:path';
import t from 'tap';
import type { Key } from '../../console/keys.ts';
import { Session } from '../../console/session.ts';
import { shownScreen, type State } from '../../console/state.ts';
import { ControlClient } from '../../src/control/client.ts';
import { startControl } from '../../src/control/server.ts';
import { openDesk, PASSWORD, type DeskBench } from '../daemon/access-bench.ts';
import { FakeBackend } from '../memory/backend.ts';
import { until } from '../control/harness.ts';
import { keyOf, WORLDS } from './worlds.ts';

/** A daemon with a console socket, and consoles on it. */
class House implements AsyncDisposable {
  readonly bench: DeskBench;
  readonly backend = new FakeBackend();
  readonly socketPath: string;
  readonly consoles: Console[] = [];
  #door: AsyncDisposable | null = null;

  private constructor(bench: DeskBench) {
    this.bench = bench;
    this.socketPath = join(bench.folder, 'console.sock');
  }

  static async open(): Promise<House> {
    const house = new House(await openDesk());
    await house.start();
    return house;
  }

  async start(): Promise<void> {
    const { desk } = this.bench;
    this.#door = await startControl(this.backend, {
      socketPath: this.socketPath,
      desk,
      login: true,
    });
  }

  async stop(): Promise<void> {
    await this.#door?.[Symbol.asyncDispose]();
    this.#door = null;
  }

  console(): Console {
    const console = new Console(this.socketPath);
    this.consoles.push(console);
    return console;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const console of this.consoles) await console.session[Symbol.asyncDispose]();
    await this.stop();
    await this.bench[Symbol.asyncDispose]();
  }
}

/** One console, led by keys. */
class Console {
  readonly client: ControlClient;
  readonly session: Session;

  constructor(socketPath: string) {
    this.client = new ControlClient(socketPath);
    this.session = new Session({
      client: this.client,
      readonly: false,
      bundleRoots: [],
      seat: { tty: '/dev/ttyS0' },
      onChange: () => {},
      onLeave: () => {},
      onRedraw: () => {},
    });
    this.session.start();
  }

  get state(): State {
    return this.session.state;
  }

  async until(wanted: (state: State) => boolean): Promise<void> {
    await until(() => wanted(this.state));
  }

  async untilAt(screen: string): Promise<void> {
    await this.until((state) => shownScreen(state) === screen && state.waiting === null);
  }

  press(...keys: readonly (string | Key)[]): this {
    for (const key of keys) this.session.press(typeof key === 'string' ? keyOf(key) : key, 19);
    return this;
  }

  /** Fills field after field of the form that is open. */
  fill(...values: readonly string[]): this {
    for (const value of values) this.press({ paste: value }, 'enter');
    return this;
  }

  async login(user: string, password = PASSWORD): Promise<this> {
    await this.until(({ dialog }) => dialog?.kind === 'form');
    this.press('up', 'up', 'clear').fill(user, password);
    await this.until(({ access, facts }) => access.at === 'in' && facts.status !== null);
    return this;
  }
}

const problemOf = ({ dialog }: State): string =>
  dialog?.kind === 'form' ? (dialog.problem ?? '') : '';

t.test('that nobody was logged in is no news after a login, however late it comes', async (t) => {
  await using house = await House.open();
  await house.bench.add('anna', 'operator');
  const console = house.console();
  await console.until(({ access }) => access.at === 'out');
  const { access } = console.client;
  const ask = access.session.bind(access);
  const asked = Promise.withResolvers<void>();
  const late = Promise.withResolvers<void>();
  access.session = async (signal) => {
    access.session = ask;
    const answer = ask(signal);
    await answer.catch(() => asked.resolve());
    await late.promise;
    return answer;
  };
  await asked.promise;
  await console.login('anna');
  late.resolve();
  await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(console.state.access.at, 'in');
  t.strictSame(
    house.bench.lines().filter((line) => line.startsWith('log')),
    ['login anna done'],
  );
});

t.test('in, out, and in as somebody else', async (t) => {
  await using house = await House.open();
  const console = house.console();
  await console.until(({ access }) => access.at === 'out');
  t.match(console.state.access, { why: { code: 'access.no_users' } });
  await house.bench.add('anna', 'administrator');
  await house.bench.add('vic', 'viewer');
  await console.until(({ dialog }) => dialog !== null);
  console.fill('anna', 'not her password');
  await console.until((state) => problemOf(state) !== '');
  t.match(problemOf(console.state), /wrong/);
  console.fill(PASSWORD);
  await console.until(({ facts }) => facts.status !== null);
  t.match(console.state.facts.person, { user: 'anna', role: 'administrator', where: '/dev/ttyS0' });
  house.backend.emit();
  await console.until(({ facts }) => facts.events.length === 1);
  console.press('m', 'o');
  t.match(console.state.facts, { status: null, events: [], person: null });
  await console.login('vic');
  t.match(console.state.facts.person, { user: 'vic', role: 'viewer' });
  console.press('escape', 'escape', 'r', 'x');
  t.match(console.state.flash, { text: /needs operator, vic is viewer/ });
  t.strictSame(house.backend.asked, []);
});

t.test('failures make the next login wait, and the console says how long', async (t) => {
  await using house = await House.open();
  await house.bench.add('anna', 'operator');
  const console = house.console();
  await console.until(({ dialog }) => dialog !== null);
  console.fill('anna');
  for (let tries = 0; tries < 6; tries += 1) {
    console.fill(`wrong password ${tries}`);
    await console.until(({ waiting, dialog }) => waiting === null && dialog !== null);
  }
  t.match(problemOf(console.state), /no login is accepted for (another )?\d+ s/);
  const { access } = console.state;
  t.ok(access.at === 'out' && access.waitS > 0 && access.waitS <= 5);
});

t.test('a code from one console gives a new password at another one', async (t) => {
  await using house = await House.open();
  await house.bench.add('anna', 'administrator');
  await house.bench.add('bob', 'operator');
  const admin = await house.console().login('anna');
  admin.press('m', 'w', 'n');
  await admin.until(({ users }) => users !== null);
  const row = admin.state.users!.users.findIndex(({ name }) => name === 'bob');
  admin.press(String(row + 1), 'r').fill('yes');
  await admin.until(({ recovery }) => recovery !== null);
  const { code, leftS } = admin.state.recovery!;
  t.ok(leftS > 3500 && leftS <= 3600);
  const bob = house.console();
  await bob.until(({ dialog }) => dialog !== null);
  bob.press('escape', 'f').fill('bob', code.toLowerCase(), 'short', 'short');
  await bob.until((state) => problemOf(state) !== '');
  t.match(problemOf(bob.state), /characters/);
  const password = 'seven wet stones';
  bob.fill(password, password);
  await bob.until(({ facts }) => facts.person?.user === 'bob');
  bob.press('m', 'o');
  await bob.login('bob', password);
  t.equal(bob.state.facts.person?.role, 'operator');
});

t.test('the right to change: one has it, the other one sees who, and takes it', async (t) => {
  await using house = await House.open();
  await house.bench.add('anna', 'operator');
  await house.bench.add('bob', 'operator');
  const anna = await house.console().login('anna');
  const bob = await house.console().login('bob');
  anna.press('m', 'w', 't').fill('yes', 'a disk');
  await anna.until(({ facts }) => facts.person?.operator === true);
  await bob.until(({ facts }) => facts.status?.operator?.user === 'anna');
  bob.press('r', 'x');
  t.match(bob.state.flash, { text: /anna holds the right to change the pair/ });
  bob.press('escape', 'm', 'w', 'f').fill('anna', 'she went home');
  await bob.until(({ facts }) => facts.person?.operator === true);
  await anna.until(({ facts }) => facts.status?.operator?.user === 'bob');
  bob.press('g').fill('yes');
  bob.press('enter');
  await bob.until(({ facts }) => facts.person?.operator === false);
});

t.test('a session that the daemon ends, and one that it locks', async (t) => {
  await using house = await House.open();
  await house.bench.add('anna', 'operator');
  house.backend.pair = WORLDS.installing;
  const console = await house.console().login('anna');
  house.bench.clock.updating = true;
  house.bench.clock.ms += 11 * 60_000;
  await console.until(({ facts }) => facts.person?.watching === true);
  t.equal(shownScreen(console.state), 'progress');
  console.press('x').fill(PASSWORD);
  await console.until(({ facts }) => facts.person?.watching === false);
  t.equal(shownScreen(console.state), 'overview', 'it goes on where it was');
  house.bench.clock.updating = false;
  house.bench.clock.ms += 11 * 60_000;
  await console.untilAt('login');
  t.equal(console.state.facts.status, null);
});

t.test('a daemon that restarts forgets sessions: the console asks for the password', async (t) => {
  await using house = await House.open();
  await house.bench.add('anna', 'operator');
  const console = await house.console().login('anna');
  await house.stop();
  await console.until(({ facts }) => facts.lost !== null);
  t.equal(shownScreen(console.state), 'overview', 'silence is no logout');
  await house.bench.restart();
  await house.start();
  await console.untilAt('login');
  await console.login('anna');
  t.equal(shownScreen(console.state), 'overview');
});

t.test('power, support bundles and settings are the requests of the command line', async (t) => {
  await using house = await House.open();
  await house.bench.add('anna', 'administrator');
  const console = await house.console().login('anna');
  const { backend } = house;
  console.press('m', 'p');
  await console.until(({ power }) => power !== null);
  const word = console.state.power!.restart.word;
  console.press('x').fill(word, 'new memory');
  await console.until(({ flash }) => flash !== null);
  console.press('m', 'e');
  await console.until(({ settings, chosen }) => settings !== null && chosen === 0);
  console.press('2', 'enter', 'clear').fill('15', 'long watch');
  await console.until(({ settings }) => settings?.settings.idleMin === 15);
  console.press('escape', 'b');
  await console.until(({ support }) => support !== null);
  console.press('n').fill('yes', 'for the vendor');
  await console.until(({ making }) => making !== null);
  t.match(backend.asked, [
    { what: 'start', value: { kind: 'restart', reason: 'new memory' }, by: 'anna' },
    { what: 'set', value: { key: 'idleMin', value: '15', reason: 'long watch' }, by: 'anna' },
    { what: 'start', value: { kind: 'support', reason: 'for the vendor' }, by: 'anna' },
  ]);
});
