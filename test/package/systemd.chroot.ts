/**
 * The Debian package under a real systemd: readiness, words of its status, the journal's levels,
 * what children inherit, a watchdog that bites a stuck event loop, a service that is told to stop,
 * sockets that are passed on, and the way of a restart that the service asks for. Runs as `npm run
 * test:package`. Imports the maker of the package, the root and tap.
 */
import t from 'tap';
import { BUILD_DIR, buildProgram } from '../../scripts/build.ts';
import { makePackage } from '../../scripts/make-package.ts';
import { VERSION } from '../../src/cli/version.ts';
import { bringNode } from './node.ts';
import { Root } from './root.ts';

const programs = await buildProgram(BUILD_DIR);
const UNITS = ['tandem.service', 'tandem.socket', 'tandem-console.socket'];

t.test('the service of a node under systemd', async (t) => {
  const file = await makePackage(programs, { outDir: t.testdir(), effort: 'quick' });
  await using root = await Root.start('systemd');
  const show = (property: string): Promise<string> =>
    root.sh(`systemctl show -P ${property} tandem.service`);
  const status = async (): Promise<unknown> => JSON.parse(await root.until('tandem status --json'));
  await root.bring(file, '/tmp/tandem.deb');

  await t.test('install without a configuration', async (t) => {
    await root.sh('dpkg -i /tmp/tandem.deb');
    t.equal(await show('UnitFileState'), 'enabled');
    t.equal(await show('ActiveState'), 'inactive');
    t.equal(await show('ConditionResult'), 'no');
    t.equal(await root.sh(`systemd-analyze verify ${UNITS.join(' ')} 2>&1`), '');
    t.match(await root.sh('man -w tandem tandem-console'), /tandem\.1/);
  });

  await bringNode(root, programs);

  await t.test('ready when it answers', async (t) => {
    await root.sh('systemctl start tandem.service');
    // start waits for the word of the service, so nothing has to be waited for here.
    t.match(JSON.parse(await root.sh('tandem status --json')), { self: 'A' });
    t.equal(await show('ActiveState'), 'active');
    t.equal(await show('StatusText'), `node A runs Tandem ${VERSION} from slot A`);
    const exe = await root.sh(`readlink /proc/${await show('MainPID')}/exe`);
    t.equal(exe, '/usr/lib/tandem/node', 'the process that init started is the service itself');
    t.equal(await root.sh('stat -c %a:%G /run/tandem/control.sock'), '660:tandem');
  });

  await t.test('levels of the journal', async (t) => {
    const lines = await root.sh(
      'journalctl -b -u tandem.service -o json --output-fields=PRIORITY,MESSAGE',
    );
    const said = lines.split('\n').map((line) => JSON.parse(line) as Record<string, string>);
    const runs = said.find((one) => one['MESSAGE']?.startsWith('node A runs Tandem'));
    t.equal(runs?.['PRIORITY'], '6');
    t.strictSame(
      said.filter((one) => /^<\d>/.test(one['MESSAGE'] ?? '')),
      [],
    );
  });

  await t.test('children know nothing of init', async (t) => {
    const pid = await show('MainPID');
    const children = await root.until(`cat /proc/${pid}/task/${pid}/children | grep .`);
    for (const child of children.split(' ')) {
      const env = await root.sh(`tr '\\0' '\\n' </proc/${child}/environ`);
      t.notMatch(env, /^(NOTIFY_SOCKET|WATCHDOG_|LISTEN_|TANDEM_NOTIFY)/m);
    }
  });

  await t.test('a stuck event loop is bitten, and the service comes again', async (t) => {
    await root.write(
      '/etc/systemd/system/tandem.service.d/quick.conf',
      '[Service]\nWatchdogSec=6\n',
    );
    await root.sh('systemctl daemon-reload && systemctl restart tandem.service');
    const pid = await show('MainPID');
    await root.sh(`kill -STOP ${pid}`);
    await root.until(`test "$(systemctl show -P NRestarts tandem.service)" = 1`);
    await root.until('systemctl is-active tandem.service');
    t.not(await show('MainPID'), pid);
    const words = await root.sh('journalctl -b -u tandem.service -o cat');
    t.match(words, /Watchdog timeout/);
    t.match(await status(), { self: 'A' });
  });

  await t.test('one that is fed is left alone for longer than the limit', async (t) => {
    const pid = await show('MainPID');
    const fed = Number(await show('WatchdogTimestampMonotonic'));
    // Three signs of life after this one are more than the limit without any.
    const newest = 'systemctl show -P WatchdogTimestampMonotonic tandem.service';
    await root.until(`test "$(${newest})" -gt ${fed + 7_000_000}`);
    t.equal(await show('MainPID'), pid);
  });

  await t.test('it ends in good order', async (t) => {
    await root.sh('systemctl stop tandem.service');
    t.equal(await show('Result'), 'success');
    t.equal(await show('ActiveState'), 'inactive');
    t.equal(
      await root.sh("cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -c /usr/lib/tandem[/] | cat"),
      '0',
    );
  });

  await t.test('sockets that systemd holds', async (t) => {
    await root.sh('systemctl enable --now tandem.socket tandem-console.socket');
    t.equal(await root.sh('stat -c %a:%G /run/tandem/control.sock'), '660:tandem');
    t.equal(await root.sh('stat -c %a /run/tandem/console.sock'), '666');
    // The question starts the service, and waits for its answer.
    t.match(JSON.parse(await root.sh('tandem status --json')), { self: 'A' });
    t.equal(await show('ActiveState'), 'active');
    const inode = await root.sh('stat -c %i /run/tandem/control.sock');
    await root.sh('systemctl restart tandem.service');
    t.match(JSON.parse(await root.sh('tandem status --json')), { self: 'A' });
    t.equal(await root.sh('stat -c %i /run/tandem/control.sock'), inode, 'never closed');
    await root.sh('systemctl disable --now tandem.socket tandem-console.socket');
    await root.sh('systemctl restart tandem.service && tandem status --json');
  });

  await t.test('a restart that the service asks for is one of the machine', async (t) => {
    // What init would be asked is written down in the place of it.
    await root.write('/usr/local/sbin/systemctl', '#!/bin/sh\necho "$@" >>/run/asked\n');
    await root.sh('chmod 755 /usr/local/sbin/systemctl');
    await root.write('/usr/local/sbin/node-42', '#!/bin/sh\nexit 42\n');
    await root.sh('chmod 755 /usr/local/sbin/node-42');
    await root.write(
      '/etc/systemd/system/tandem.service.d/quick.conf',
      '[Service]\nType=simple\nExecStart=\nExecStart=/usr/local/sbin/node-42\n',
    );
    await root.sh('systemctl daemon-reload; systemctl restart tandem.service; true');
    t.equal(await root.until('cat /run/asked'), '--no-block reboot');
    await root.until('test "$(/bin/systemctl show -P ActiveState tandem.service)" = inactive');
    await root.sh('rm /usr/local/sbin/systemctl /etc/systemd/system/tandem.service.d/quick.conf');
  });

  await t.test('purge', async (t) => {
    await root.sh('systemctl daemon-reload; systemctl start tandem.service; dpkg -P tandem');
    t.equal((await root.run(['systemctl', 'status', 'tandem.service'])).status, 4);
    const left =
      'find /etc /usr /lib /var/lib/systemd -xdev -name "*tandem*" ! -name tandem-release';
    t.equal(await root.sh(`${left} ! -path "*/tandem.service.d*"`), '');
  });
});
