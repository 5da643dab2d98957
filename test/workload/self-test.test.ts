/**
 * The self-test of the sample workload on stores that answer otherwise: one that can be read, one
 * that cannot be read on a standby, and one that is broken. Imports tap and images/workload.
 */
import t from 'tap';
import { selfTest } from '../../images/workload/self-test.ts';
import { RecordServer } from '../../images/workload/server.ts';
import { UpdateError } from '../../src/core/errors.ts';
import type { Code } from '../../src/core/codes.ts';

/** A workload on a store of this role; what its objects are asked for fails with `code`. */
function workload(role: string, code: Code | null): RecordServer {
  const call = async (request: object): Promise<unknown> => {
    const { op } = request as { op: string };
    if (op === 'status') return { role };
    if (code !== null) throw new UpdateError(code, 'the store says no');
    return op === 'list' ? { keys: ['a', 'b'], more: false } : '';
  };
  const store = { call, up: true, [Symbol.asyncDispose]: async () => undefined };
  return new RecordServer({ node: 'A', version: '1.0.0', store });
}

t.test('records are read back', async (t) => {
  t.same(await selfTest(workload('secondary', null)), { records: 2 });
});

t.test('a standby whose copy cannot be read passes, with no record', async (t) => {
  t.same(await selfTest(workload('secondary', 'store.read_only')), { records: 0 });
});

t.test('anything else that cannot be read is unhealthy', async (t) => {
  await t.rejects(selfTest(workload('primary', 'store.read_only')), { code: 'health.check' });
  await t.rejects(selfTest(workload('secondary', 'store.corrupt')), { code: 'health.check' });
  await t.rejects(selfTest(workload('unknown', 'store.read_only')), { code: 'health.check' });
});
