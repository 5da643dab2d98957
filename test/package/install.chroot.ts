/**
 * The Debian package in a fresh root without an init system: built twice to the same bytes, judged
 * by lintian, installed, started by its init script, killed, upgraded, removed and purged. Runs as
 * `npm run test:package`. Imports the maker of the package, the root and tap.
 */
import { readFile } from 'node:fs/promises';
import t from 'tap';
import { BUILD_DIR, buildProgram } from '../../scripts/build.ts';
import { runTool } from '../../scripts/image/tools.ts';
import { makePackage } from '../../scripts/make-package.ts';
import { VERSION } from '../../src/cli/version.ts';
import { bringNode } from './node.ts';
import { Root } from './root.ts';

/** Kept by dpkg, apt and the kernel, and no part of what the package does. */
const NOISE =
  '/(proc|sys|dev|run|tmp|var/(cache|log)|var/lib/(dpkg|apt|systemd))(/|$)' +
  '|^/etc/(passwd|group|shadow|gshadow)- ';

const programs = await buildProgram(BUILD_DIR);

/** How many processes of the service run. */
const DAEMONS = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -o '/tandem[.]mjs daemon' | wc -l";

/** A root of its own below this one, with nothing but BusyBox, our scripts, and a service. */
const BUSYBOX_ROOT = String.raw`
set -e
b=/srv/busybox
mkdir -p $b/bin $b/sbin $b/usr/bin $b/usr/sbin $b/usr/lib $b/proc $b/dev $b/run $b/var/log
mkdir -p $b/etc/init.d $b/etc/tandem
cp /bin/busybox $b/bin
chroot $b /bin/busybox --install -s
cp -r /usr/lib/tandem $b/usr/lib
cp /etc/init.d/tandem $b/etc/init.d
: >$b/etc/tandem/tandem.jsonc
: >$b/dev/null
cat >$b/usr/lib/tandem/node <<'END'
#!/bin/sh
echo up
trap 'echo end; exit 0' TERM
while :; do sleep 0.1; done
END
mount -t proc proc $b/proc
mount --bind /dev/null $b/dev/null
cat >$b/play <<'END'
status() {
  /etc/init.d/tandem status | sed 's/[0-9][0-9]*/N/'
  /etc/init.d/tandem status >/dev/null
  echo "status $?"
}
up() {
  until [ "$(cat /run/tandem-service.pid 2>/dev/null || echo "$1")" != "$1" ]; do sleep 0.1; done
  until grep -q up /var/log/tandem.log; do sleep 0.1; done
}
status
/etc/init.d/tandem start
up ''
status
pid=$(cat /run/tandem-service.pid)
kill -KILL $pid
up $pid
echo started again
until [ "$(grep -c up /var/log/tandem.log)" = 2 ]; do sleep 0.1; done
/etc/init.d/tandem stop
status
echo "words $(tr '
' , </var/log/tandem.log | sed 's/,$//; s/,/, /g')"
END
chroot $b /bin/sh /play
umount $b/proc $b/dev/null
rm -r $b
`;

/** Every path of the root with owner, mode and target. */
const list = (root: Root): Promise<string> =>
  root.sh(`find / -xdev -printf '%p %u %g %m %l\\n' | grep -vE '^${NOISE}| ${NOISE}' | sort`);

// Somebody may commit meanwhile.
process.env['SOURCE_DATE_EPOCH'] = '1767225600';

t.test('the same source gives the same bytes, and lintian has nothing to say', async (t) => {
  const [one, two] = [t.testdir(), t.testdirName.concat('-two')];
  const made = await makePackage(programs, { outDir: one, effort: 'quick' });
  const again = await makePackage(programs, { outDir: two, effort: 'quick' });
  t.ok((await readFile(made)).equals(await readFile(again)), 'the same bytes');
  const strict = ['--fail-on', 'error,warning', '--allow-root', '--tag-display-limit', '0'];
  const { stdout } = await runTool('lintian', [...strict, made]);
  t.equal(stdout, '');
});

t.test('installed, started, killed, upgraded, removed, purged', async (t) => {
  const dir = t.testdir();
  const first = await makePackage(programs, { outDir: dir, effort: 'quick' });
  const second = await makePackage(programs, {
    outDir: dir,
    effort: 'quick',
    version: `${VERSION}+2`,
  });
  await using root = await Root.start('plain');
  // No init runs there that could tell the run level, and so Debian would start nothing.
  await root.write('/sbin/runlevel', '#!/bin/sh\necho N 2\n');
  await root.write('/usr/sbin/policy-rc.d', '#!/bin/sh\nexit 0\n');
  await root.sh('chmod 755 /sbin/runlevel /usr/sbin/policy-rc.d');
  const before = await list(root);
  const accounts = await root.sh('cat /etc/passwd /etc/group /etc/shells');
  await root.bring(first, '/tmp/one.deb');
  await root.bring(second, '/tmp/two.deb');

  await t.test('install', async (t) => {
    await root.sh('dpkg -i /tmp/one.deb');
    t.equal(await root.sh('tandem --version'), VERSION);
    t.match(await root.sh('getent group tandem'), /^tandem:x:\d+:$/);
    t.match(await root.sh('getent passwd tandem-console'), /:\/:\/usr\/bin\/tandem-console$/);
    t.match(await root.sh('cat /etc/shells'), '/usr/bin/tandem-console');
    t.equal(await root.sh('dpkg --verify tandem'), '');
    t.match(await root.sh('zcat /usr/share/man/man1/tandem.1.gz | head -n 3'), '.TH TANDEM 1');
    const completion = '. /usr/share/bash-completion/completions/tandem; complete -p tandem';
    t.match((await root.run(['bash', '-c', completion])).stdout, /^complete .* tandem$/m);
    t.equal((await root.run(['/etc/init.d/tandem', 'status'])).status, 3);
    t.match(await root.run(['/etc/init.d/tandem', 'start']), {
      status: 0,
      stderr: /not started, there is no \/etc\/tandem\/tandem\.jsonc/,
    });
    const checked = await root.run([
      'tandem',
      'config',
      'check',
      '/usr/share/doc/tandem/examples/tandem.jsonc',
    ]);
    t.equal(checked.status, 0, 'the example is a configuration');
  });

  await bringNode(root, programs);
  const statusOf = async (): Promise<string> => root.until('tandem status --json');
  const service = (): Promise<string> => root.until('cat /run/tandem-service.pid');

  await t.test('start', async (t) => {
    await root.sh('/etc/init.d/tandem start');
    const status = JSON.parse(await statusOf()) as { self: string; state: string };
    t.equal(status.self, 'A');
    t.equal((await root.run(['/etc/init.d/tandem', 'status'])).status, 0);
    t.equal((await root.run(['/etc/init.d/tandem', 'start'])).status, 0, 'once is enough');
    t.equal(await root.sh(DAEMONS), '1');
    await root.sh('adduser --quiet --system --ingroup tandem member');
    await root.sh('adduser --quiet --system stranger');
    const as = (user: string) =>
      root.run([
        'setpriv',
        '--reuid',
        user,
        '--regid',
        user === 'member' ? 'tandem' : 'nogroup',
        '--clear-groups',
        'tandem',
        'status',
        '--json',
      ]);
    t.equal((await as('member')).status, 0, 'a member of the group may ask');
    t.equal((await as('stranger')).status, 51, 'nobody else may');
  });

  await t.test('a service that dies comes again', async (t) => {
    const pid = await service();
    await root.sh(`kill -KILL ${pid}`);
    await root.until(`test "$(cat /run/tandem-service.pid)" != ${pid}`);
    t.match(JSON.parse(await statusOf()), { self: 'A' });
  });

  await t.test('upgrade', async (t) => {
    const pid = await service();
    await root.sh('echo "# kept" >>/etc/default/tandem');
    await root.sh('dpkg --force-confold -i /tmp/two.deb');
    t.equal(await root.sh("dpkg-query -W -f '${Version}' tandem"), `${VERSION}+2`);
    t.not(await service(), pid, 'the new program runs');
    t.match(JSON.parse(await statusOf()), { self: 'A' });
    t.match(await root.sh('cat /etc/default/tandem'), '# kept');
  });

  await t.test('the same scripts under BusyBox', async (t) => {
    await root.write('/tmp/busybox.sh', BUSYBOX_ROOT);
    const said = await root.sh('sh /tmp/busybox.sh 2>&1');
    const begin = 'tandem: the service starts';
    const killed = 'tandem: the service ended with status 137';
    const words = [begin, 'up', killed, begin, 'up', 'end'];
    t.strictSame(said.split('\n'), [
      'tandem does not run',
      'status 3',
      'tandem runs, process N',
      'status 0',
      'started again',
      'tandem does not run',
      'status 3',
      `words ${words.join(', ')}`,
    ]);
  });

  await t.test('remove keeps what the node is', async (t) => {
    await root.sh('deluser --quiet member; deluser --quiet stranger');
    await root.sh('dpkg -r tandem');
    t.equal(await root.sh(DAEMONS), '0');
    t.equal((await root.run(['which', 'tandem'])).status, 1);
    await root.sh('test -e /var/lib/tandem/keys && test -e /etc/tandem/tandem.jsonc');
    t.notMatch(await root.sh('cat /etc/shells'), 'tandem');
  });

  await t.test('purge leaves nothing', async (t) => {
    await root.sh('dpkg -P tandem; rm -r /opt/workload /etc/tandem-release');
    t.equal(await list(root), before);
    t.equal(await root.sh('cat /etc/passwd /etc/group /etc/shells'), accounts);
    t.equal((await root.run(['dpkg', '-s', 'tandem'])).status, 1);
    t.equal(await root.sh('ls -d /run/tandem* /var/log/tandem* 2>/dev/null | cat'), '');
  });
});
