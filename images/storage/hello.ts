/**
 * May the two storage processes talk at all: same pair, the other node, a common protocol. Always
 * holds: the agreed protocol is the lower of the two maxima (rule R10). Pure; imports core and the
 * limits.
 */
import { UpdateError } from '../../src/core/errors.ts';
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
  const [min, max] = hello.protocol;
  const agreed = Math.min(max, PROTOCOL[1]);
  if (agreed >= Math.max(min, PROTOCOL[0])) return agreed;
  throw new UpdateError(
    'pair.protocol',
    `storage protocols ${min}-${max} there, ${PROTOCOL[0]}-${PROTOCOL[1]} here`,
  );
}
