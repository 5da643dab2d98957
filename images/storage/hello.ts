/**
 * May the two storage processes talk at all: same pair, the other node, a common protocol. Always
 * holds: the agreed protocol is the lower of the two maxima (rule R10). Pure; imports core and the
 * limits.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { agreedProtocol } from '../../src/core/levels.ts';
import type { NodeId } from '../../src/core/model.ts';
import { PROTOCOL } from './limits.ts';
import type { Hello } from './wire.ts';

/** Protocol that both speak. Throws `pair.wrong_peer` or `pair.protocol`. */
export function checkHello(
  hello: Hello,
  own: { readonly node: NodeId; readonly pair: string },
): number {
  if (hello.pair !== own.pair || hello.node === own.node) {
    const found = `node ${hello.node} of pair ${hello.pair}`;
    throw new UpdateError('pair.wrong_peer', `${found} answers, expected the peer of ${own.node}`);
  }
  const agreed = agreedProtocol(PROTOCOL, hello.protocol);
  if (agreed !== null) return agreed;
  const [min, max] = hello.protocol;
  throw new UpdateError(
    'pair.protocol',
    `storage protocols ${min}-${max} there, ${PROTOCOL[0]}-${PROTOCOL[1]} here`,
  );
}
