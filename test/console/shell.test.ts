/**
 * The service shell on a line in memory: allowed and refused, what is typed and shown, sizes, a
 * stalled line, its end with the session; and that the terminal is the console's again.
 */
import t from 'tap';
import { runShell, type ShellGate, type ShellOptions } from '../../console/shell.ts';
import type { ChannelEvents, Size } from '../../console/terminal/channel.ts';
import { kindOf } from '../../console/terminal/kinds.ts';
import { TerminalLine } from '../../console/terminal/line.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { Desk as Doorkeeper } from '../../src/control/desk.ts';
import { ShellBook } from '../../src/daemon/access-shell.ts';
import { until } from '../control/harness.ts';
import { Desk as RealDesk } from './desk.ts';

/** A terminal that keeps what it gets. */
class Bench implements AsyncDisposable {
  readonly line: TerminalLine;
  readonly asked: string[] = [];
  readonly over = new AbortController();
  text = '';
  keys = 0;
  typed = 0;
  size: Size = { rows: 24, columns: 80 };
  stalled: (() => void)[] | null = null;
  refusal: UpdateError | null = null;
  #events: ChannelEvents | null = null;
  readonly #gate: ShellGate = {
    begin: async (reason) => {
      if (this.refusal !== null) throw this.refusal;
      this.asked.push(`begin: ${reason}`);
    },
    end: async (outcome) => void this.asked.push(`end: ${outcome}`),
  };

  constructor() {
    const size = (): Size => this.size;
    this.line = new TerminalLine({
      kind: kindOf('vt220')!,
      baud: null,
      open: (events) => {
        this.#events = events;
        return {
          get size() {
            return size();
          },
          waiting: false,
          send: (bytes, taken) => {
            this.text += Buffer.from(bytes as string).toString('latin1');
            if (this.stalled === null) setImmediate(taken);
            else this.stalled.push(taken);
          },
          tellSize: () => {},
          release: () => {},
        };
      },
      onKey: () => {
        this.keys += 1;
      },
      onResize: () => {},
      onFree: () => {},
      onHangUp: () => {},
    });
  }

  async run(env: ShellOptions['env'] = {}): Promise<string> {
    return runShell({
      gate: this.#gate,
      reason: 'fan test',
      line: this.line,
      kind: kindOf('vt220')!,
      env,
      signal: this.over.signal,
      onActivity: () => {
        this.typed += 1;
      },
    });
  }

  type(text: string): void {
    this.#events!.onBytes(Buffer.from(text, 'latin1'));
  }

  resize(size: Size): void {
    this.size = size;
    this.#events!.onResize();
  }

  async untilSaid(words: string): Promise<void> {
    await until(() => this.text.includes(words));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.over.abort();
    await this.line[Symbol.asyncDispose]();
  }
}

t.test('a shell, from its begin to its end', async (t) => {
  await using desk = new Bench();
  const ended = desk.run({ LANG: 'C', SECRET: 'x', SHELL: '/usr/bin/tandem-console' });
  await desk.untilSaid('comes back to the console.');
  t.ok(desk.line.busy, 'nothing is drawn meanwhile');
  desk.type('echo "<$TERM $SHELL $SECRET $((6*7))>"\r');
  await desk.untilSaid('<vt220 /bin/sh  42>');
  desk.type('stty size\r');
  await desk.untilSaid('24 80');
  desk.resize({ rows: 50, columns: 132 });
  desk.type('stty size\r');
  await desk.untilSaid('50 132');
  t.strictSame(desk.asked, ['begin: fan test']);
  const { text } = desk;
  desk.line.write('a picture');
  t.equal(desk.text, text, 'nor written');
  desk.type('exit 3\r');
  t.equal(await ended, 'it ended with status 3');
  t.strictSame(desk.asked, ['begin: fan test', 'end: it ended with status 3']);
  t.equal(desk.keys, 0, 'nothing of it was a key of the console');
  t.ok(desk.typed > 3, 'but the person was there');
  t.ok(desk.text.endsWith('\x1b[?25l'), 'the terminal is prepared again');
  t.notOk(desk.line.busy);
  desk.type('\x1b[A');
  t.equal(desk.keys, 1);
});

t.test('what the daemon refuses is not opened', async (t) => {
  await using desk = new Bench();
  desk.refusal = new UpdateError('permission.denied', 'not for operators');
  await t.rejects(desk.run(), { code: 'permission.denied' });
  t.equal(desk.text, '');
  t.strictSame(desk.asked, []);
});

t.test('it ends with the session', async (t) => {
  await using desk = new Bench();
  const ended = desk.run();
  await desk.untilSaid('comes back');
  desk.type('trap "" HUP; echo de""af; exec sleep 1000\r');
  await desk.untilSaid('deaf');
  desk.over.abort();
  t.equal(await ended, 'the session ended');
  t.strictSame(desk.asked, ['begin: fan test', 'end: the session ended']);
});

t.test('a stalled line stops its output', async (t) => {
  await using desk = new Bench();
  const ended = desk.run();
  await desk.untilSaid('comes back');
  desk.stalled = [];
  desk.type('yes stall | head -c 3000000; echo all o""f it\r');
  await until(() => desk.stalled!.length > 0);
  const waiting = desk.stalled;
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.ok(desk.text.length < 1_000_000, `${desk.text.length} bytes came`);
  desk.stalled = null;
  for (const taken of waiting) taken();
  await desk.untilSaid('all of it');
  t.ok(desk.text.length > 3_000_000);
  desk.type('exit\r');
  await ended;
});

t.test('the real program: from the menu to the shell and back', async (t) => {
  const notes: string[] = [];
  const note = ({ reason }: { reason: string | null }, { message }: { message: string }): never => {
    notes.push(`${reason}: ${message}`);
    return undefined as never;
  };
  const shells = new ShellBook({ serviceShell: true, audit: { note } });
  const control = {
    desk: { shell: shells.take.bind(shells), operator: () => null } as unknown as Doorkeeper,
  };
  await using desk = await RealDesk.open({ term: 'vt220', control });
  await desk.untilShown('HEALTHY');
  const first = desk.glass.lines();
  desk.send('m');
  await desk.untilShown('Service shell');
  desk.send('h');
  await desk.untilShown('Open a service shell here');
  desk.send('shell');
  await desk.untilShown(': shell');
  desk.send('\r');
  await desk.until(() => desk.glass.cursor.column > 26 && desk.glass.cursor.column < 30);
  desk.send('fan test');
  await desk.untilShown('fan test');
  desk.send('\r');
  await desk.untilShown('comes back to the console');
  desk.resize(24, 100);
  // The new size arrives when it arrives.
  desk.send('until stty size | grep 100; do sleep 0.1; done; echo "[$TERM]"\r');
  await desk.untilShown('24 100');
  await desk.untilShown('[vt220]');
  desk.resize(24, 80);
  desk.send('exit\r');
  await desk.untilShown('The service shell is closed: it ended with status 0.');
  t.notMatch(desk.glass.lines().join('\n'), /comes back|stty/, 'nothing of it is left');
  desk.send('\x1b');
  await desk.until((lines) => lines.slice(0, 20).join('\n') === first.slice(0, 20).join('\n'));
  t.strictSame(notes, ['fan test: begins', 'null: is over: it ended with status 0']);
});
