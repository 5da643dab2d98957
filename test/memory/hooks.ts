/**
 * The port Hooks in memory: functions instead of programs, in the order of their names, with the
 * rules of the directory driver. Imports core and ports.
 */
import { UpdateError } from '../../src/core/errors.ts';
import { isTellingPoint, refusalCode } from '../../src/core/hook-points.ts';
import type { Hooks, HooksEnd } from '../../src/ports.ts';

/** How a hook answers: good, later, or a veto with this text; it may wait for the signal. */
export type HookAnswer = 'good' | 'retry' | { readonly veto: string };

export interface MemoryHook {
  readonly point: string;
  readonly name: string;
  readonly answer: (input: object, signal: AbortSignal) => HookAnswer | Promise<HookAnswer>;
}

/** The hooks of a node. */
export class MemoryHooks implements Hooks {
  /** What was run, as `point/name`. */
  readonly calls: string[] = [];
  readonly #hooks: readonly MemoryHook[];

  constructor(hooks: readonly MemoryHook[] = []) {
    this.#hooks = hooks.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  async run(point: string, input: object, signal: AbortSignal): Promise<HooksEnd> {
    let ran = 0;
    let later: string | null = null;
    let veto: UpdateError | null = null;
    for (const { name, answer } of this.#hooks.filter((hook) => hook.point === point)) {
      signal.throwIfAborted();
      ran += 1;
      this.calls.push(`${point}/${name}`);
      const said = await answer(structuredClone(input), signal);
      signal.throwIfAborted();
      if (said === 'retry') later ??= `hook ${point}.d/${name} asks to be asked later`;
      if (typeof said === 'object') {
        const detail = { hook: name, point };
        const message = `Hook ${point}.d/${name}: ${said.veto}`;
        veto ??= new UpdateError(refusalCode(point), message, { detail });
      }
      if ((later !== null || veto !== null) && !isTellingPoint(point)) break;
    }
    if (veto !== null) throw veto;
    return later === null ? { ran, retry: false } : { ran, retry: true, later };
  }
}
