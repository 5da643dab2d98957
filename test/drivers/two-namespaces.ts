/**
 * Two nodes and a client on one network, each in a network namespace of its own, made and removed
 * by the test; or, without root, a program that does as `ip` does on a file. Imports node.
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { NodeId } from '../../src/core/model.ts';

const run = promisify(execFile);

/** A program with its first arguments. */
export type Program = readonly [string, ...string[]];

/** Why no namespace can be made here; null when one can. */
export async function namespaceReason(): Promise<string | null> {
  if (process.geteuid?.() !== 0) return 'network namespaces need root';
  const name = `tandem-${randomBytes(4).toString('hex')}`;
  try {
    await run('ip', ['netns', 'add', name]);
    await run('ip', ['netns', 'del', name]);
    return null;
  } catch (error) {
    return `no network namespace: ${(error as Error).message.split('\n').at(-2) ?? ''}`;
  }
}

/** Two nodes on a network; interface `svc0` in each, with an address of its own. */
export interface Network extends AsyncDisposable {
  /** Runs a program on the node, or on the client. */
  on(where: NodeId | 'client', argv: Program): Program;
  do(where: NodeId | 'client', ...argv: Program): Promise<string>;
  /** Hardware address of the node's interface. */
  mac(node: NodeId): Promise<string>;
}

/** The network 10.77.0.0/24 and fd77::/64: A is .1, B is .2, the client .3. */
export async function makeNetwork(): Promise<Network> {
  const id = randomBytes(4).toString('hex');
  const names = { A: `tandem-${id}-a`, B: `tandem-${id}-b`, client: `tandem-${id}-c` } as const;
  const on = (where: NodeId | 'client', argv: Program): Program => [
    'ip',
    'netns',
    'exec',
    names[where],
    ...argv,
  ];
  const act = async (where: NodeId | 'client', ...argv: Program): Promise<string> => {
    const [program, ...args] = on(where, argv);
    return (await run(program, args)).stdout;
  };
  const ipIn = (where: NodeId | 'client', text: string): Promise<string> =>
    act(where, 'ip', ...text.split(' '));
  await using stack = new AsyncDisposableStack();
  for (const name of Object.values(names)) {
    await run('ip', ['netns', 'add', name]);
    stack.defer(async () => void (await run('ip', ['netns', 'del', name])));
  }
  const quiet = 'echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad';
  for (const where of ['A', 'B', 'client'] as const) await act(where, 'sh', '-c', quiet);
  await ipIn('client', 'link add br0 type bridge');
  for (const [index, node] of (['A', 'B'] as const).entries()) {
    await ipIn('client', `link add port${node} type veth peer name svc0 netns ${names[node]}`);
    await ipIn('client', `link set port${node} master br0 up`);
    await ipIn(node, 'link set svc0 up');
    await ipIn(node, `addr add 10.77.0.${index + 1}/24 dev svc0`);
    await ipIn(node, `addr add fd77::${index + 1}/64 dev svc0`);
  }
  await ipIn('client', 'addr add 10.77.0.3/24 dev br0');
  await ipIn('client', 'addr add fd77::3/64 dev br0');
  await ipIn('client', 'link set br0 up');
  const held = stack.move();
  return {
    on,
    do: act,
    mac: async (node) => {
      const found = /link\/ether (\S+)/.exec(await ipIn(node, '-o link show dev svc0'));
      return found?.[1] ?? '';
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  };
}

const FAKE = `#!/bin/sh
# ip [-4|-6] [-o] addr show [dev D] [to A] | addr add|del A/L dev D; the file has "D A/L" lines.
file="$1"; shift
[ -e "$file.broken" ] && { cat "$file.broken" >&2; exit 2; }
while [ "\${1#-}" != "$1" ]; do shift; done
echo "$*" >>"$file.log"
case "$2" in
  show)
    while read -r dev cidr; do
      case " $* " in
        *" to \${cidr%/*} "*|*" dev $dev "*) echo "2: $dev    inet $cidr scope global $dev" ;;
      esac
    done <"$file" ;;
  add)
    grep -qx "$5 $3" "$file" && { echo "RTNETLINK answers: File exists" >&2; exit 2; }
    [ -e "$file.full" ] && { echo "RTNETLINK answers: No buffer space" >&2; exit 2; }
    echo "$5 $3" >>"$file" ;;
  del)
    [ -e "$file.stuck" ] && { echo "RTNETLINK answers: Operation not permitted" >&2; exit 2; }
    grep -vx "$5 $3" "$file" >"$file.new"; mv "$file.new" "$file" ;;
esac
exit 0
`;

/** A program that does as `ip` does, on the addresses in `<dir>/<name>`. */
export async function fakeIp(dir: string, name: string): Promise<Program> {
  const script = join(dir, 'ip');
  await writeFile(script, FAKE, { mode: 0o755 });
  await writeFile(join(dir, name), '');
  return [script, join(dir, name)];
}
