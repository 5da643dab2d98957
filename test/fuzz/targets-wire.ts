/**
 * Fuzz targets of what other processes and the peer send: bodies and addresses of control requests,
 * messages of the link over the network and over a serial line, ranges that are asked for, and the
 * request of the installer. Always holds: nothing above a limit is kept, what is passed on was
 * checked, and no message that the peer can send ends the machine of this node. Whole HTTP requests
 * over sockets are in test/control/fuzz.test.ts. Imports the rooms that read.
 */
import { checkRouteBody } from '../../src/control/protocol.ts';
import { readQuery } from '../../src/control/query.ts';
import { findRoute, ROUTES } from '../../src/control/routes.ts';
import { effectsOf, settle, step } from '../../src/core/machine.ts';
import { readPairMessage, readReportHead } from '../../src/core/report.ts';
import type { PairMessage } from '../../src/core/report.ts';
import type { Event, NodeState } from '../../src/core/state.ts';
import { encodeFrame, FrameParser, FRAME_BYTES_MAX } from '../../src/drivers/frames.ts';
import {
  encodeLineFrame,
  LineParser,
  LINE_FRAME_BYTES_MAX,
} from '../../src/drivers/serial-frames.ts';
import { Assembler, fragmentsOf, packMessage } from '../../src/drivers/serial-messages.ts';
import { decodeGreeting, decodeRequest, encodeGreeting } from '../../src/install/bulk.ts';
import { encodeRequests } from '../../src/install/bulk.ts';
import { parseRequest } from '../../src/install/request.ts';
import { reportOf } from '../../src/updater/report.ts';
import { nodeState, rolloutRecord } from '../core/states.ts';
import { ending, promise, type Subject, type Target } from './engine.ts';
import { bentJson, bentValue, mutated, noise } from './mutate.ts';
import type { Random } from './random.ts';

const BODIES: readonly object[] = [
  { kind: 'stage', path: '/a' },
  { kind: 'update', source: { path: '/a' }, order: 'active-first', reason: 'x' },
  { kind: 'update', source: { bundle: 'a'.repeat(64) } },
  { kind: 'resolve', keep: 'A', reason: 'x' },
  { act: 'takeover', peer: 'B', reason: 'x' },
  { act: 'stand-down', on: true },
  { key: 'idleMin', value: '5' },
  { path: '/a' },
  { do: 'add', name: 'eve', role: 'viewer', password: 'pa55' },
  { user: 'anna', password: 'wrong' },
  {},
];

const control: Target = {
  name: 'control',
  reads: 'paths, parameters and bodies of control requests',
  limits: { steps: { base: 20_000, perByte: 20 }, buffers: { base: 60_000, perByte: 10 } },
  open: () => Promise.resolve({ make: controlTrial }),
};

function controlTrial(random: Random): ReturnType<Subject['make']> {
  const route = random.pick(ROUTES);
  const part = random.pick(['r1', '..', '%2e%2e', '__proto__', 'x'.repeat(200), 'a%00b', '']);
  const query = random.pick(['', '?limit=0', '?since=-1', '?follow=2', '?limit=1&limit=2', '?%']);
  const plain = Buffer.from(route.path.replaceAll(/:\w+/g, part) + query);
  const path = (random.oneIn(3) ? mutated(random, plain) : plain).toString('latin1');
  const body = bentJson(random, random.pick(BODIES));
  return {
    sizeBytes: path.length + body.length,
    judge: () => ending(() => judgeControl(route.method, path, body)),
  };
}

async function judgeControl(method: string, path: string, body: Buffer): Promise<void> {
  const url = path.startsWith('/') ? URL.parse(`http://tandem${path}`) : null;
  const found = url === null ? null : await gone(() => findRoute(method, url.pathname));
  if (found !== null && url !== null) {
    const given = await gone(() => readQuery(found.route, url.searchParams));
    for (const value of Object.values(given ?? {})) {
      promise(typeof value !== 'string' || /^[\w.-]{1,128}$/.test(value), 'a word of any form');
    }
  }
  let value: unknown;
  try {
    value = JSON.parse(body.toString('utf8'));
  } catch {
    return;
  }
  for (const { body: wanted } of ROUTES) {
    if (wanted === undefined) continue;
    const checked = (await gone(() => checkRouteBody(wanted, value))) as { path?: string } | null;
    const good = checked?.path === undefined || /^\/[^\0]*$/.test(checked.path);
    promise(good, 'a path that is none');
  }
}

/** What comes of it, null where it is refused; a refusal is short and says no more than it must. */
async function gone<T>(work: () => T | Promise<T>): Promise<T | null> {
  let result: T | null = null;
  const word = await ending(async () => {
    try {
      result = await work();
    } catch (error) {
      const { message } = error as Error;
      promise(message.length < 1000 && !/\.ts:\d/.test(message), `a long refusal: ${message}`);
      throw error;
    }
  });
  promise(word === 'ok' || word === 'usage.invalid', word);
  return result;
}

const rollout = rolloutRecord();
const STATES: readonly NodeState[] = [
  nodeState('A'),
  nodeState('B'),
  nodeState('A', { rollout }),
  nodeState('B', { rollout, peer: null }),
];
const MESSAGES: readonly PairMessage[] = [
  { type: 'report', report: reportOf(nodeState('B'), 7) },
  { type: 'report', report: reportOf(nodeState('A', { rollout }), 9) },
  { type: 'rollout', record: rolloutRecord({ writer: { epoch: 3, seq: 9 } }) },
  { type: 'event', id: 'e1', event: { kind: 'note' } },
  { type: 'request', id: 'q1', request: { do: 'status' } },
  { type: 'answer', id: 'q1', answer: {} },
];

const linkTarget: Target = {
  name: 'link',
  reads: 'messages of the peer over the network, and what the machine makes of them',
  limits: { steps: { base: 60_000, perByte: 40 }, buffers: { base: 300_000, perByte: 40 } },
  open: () => Promise.resolve({ make: linkTrial }),
};

function linkTrial(random: Random): ReturnType<Subject['make']> {
  const parts = Array.from({ length: 1 + random.below(3) }, () => {
    const message = random.pick(MESSAGES);
    if (random.oneIn(10)) return mutated(random, encodeFrame(message));
    const text = random.oneIn(5) ? Buffer.from(JSON.stringify(message)) : bentJson(random, message);
    const head = Buffer.alloc(4);
    head.writeUInt32BE(random.oneIn(12) ? Math.abs(random.edge()) % 2 ** 32 : text.length);
    return Buffer.concat([head, text]);
  });
  const bytes = Buffer.concat(parts);
  const state = random.pick(STATES);
  const cuts = Array.from({ length: random.below(4) }, () => random.below(bytes.length + 1));
  return {
    sizeBytes: bytes.length,
    judge: () => ending(() => judgeLink(bytes, cuts, state)),
  };
}

function judgeLink(bytes: Buffer, cuts: readonly number[], state: NodeState): void {
  const parser = new FrameParser();
  const ends = [...cuts, bytes.length].toSorted((a, b) => a - b);
  let at = 0;
  let now = state;
  for (const end of ends) {
    parser.push(bytes.subarray(at, end));
    at = end;
    for (let frame = parser.next(); frame !== null; frame = parser.next()) {
      if (frame.kind !== 'message') continue;
      promise(JSON.stringify(frame.message).length <= 6 * FRAME_BYTES_MAX, 'a long message');
      const message = readPairMessage(frame.message);
      if (message === null) readReportHead(frame.message);
      else now = heard(now, message);
    }
  }
}

/** No message that was taken may end the machine. */
function heard(state: NodeState, message: PairMessage): NodeState {
  const event: Event | null =
    message.type === 'report' || message.type === 'rollout' ? message : null;
  if (event === null) return state;
  const clock = { ms: 20_000, at: '2026-01-01T00:00:20.000Z' };
  let next = step(state, event, clock) ?? state;
  for (let turns = 0; turns < 50; turns += 1) {
    const settled = settle(next);
    if (settled === undefined) break;
    next = settled;
    promise(turns < 49, 'decisions without an end');
  }
  effectsOf(next);
  JSON.stringify(reportOf(next, 1));
  return next;
}

const serial: Target = {
  name: 'serial',
  reads: 'frames and fragments of a serial line',
  limits: { steps: { base: 60_000, perByte: 60 }, buffers: { base: 2_000_000, perByte: 60 } },
  open: () => Promise.resolve({ make: serialTrial }),
};

function serialTrial(random: Random): ReturnType<Subject['make']> {
  const message = random.oneIn(2)
    ? random.pick(MESSAGES)
    : bentValue(random, random.pick(MESSAGES));
  const packed = packMessage(JSON.stringify(message) ?? 'null');
  const bent = random.oneIn(3) ? mutated(random, packed) : packed;
  let fragments = fragmentsOf(bent.subarray(0, 5000), random.below(70_000));
  if (random.oneIn(3)) fragments = fragments.toSpliced(random.below(fragments.length), 1);
  fragments = fragments.map((one) => (random.oneIn(6) ? mutated(random, one) : one));
  const frames = fragments.map((one) => encodeLineFrame(one.subarray(0, LINE_FRAME_BYTES_MAX)));
  const line = frames.map((one) => (random.oneIn(6) ? mutated(random, one) : one));
  const bytes = Buffer.concat([...line, noise(random, 700)]);
  return { sizeBytes: bytes.length, judge: () => judgeLine(bytes) };
}

function judgeLine(bytes: Buffer): string {
  const parser = new LineParser();
  const assembler = new Assembler();
  let word = 'nothing';
  for (const content of parser.push(bytes)) {
    promise(content.length <= LINE_FRAME_BYTES_MAX, `a content of ${content.length} bytes`);
    const message = assembler.push(content);
    if (message === null) continue;
    promise(JSON.stringify(message).length <= 6 * FRAME_BYTES_MAX, 'a long message');
    word = readPairMessage(message) === null ? 'an object' : 'a message';
  }
  promise(parser.noiseBytes <= bytes.length, 'more noise than bytes');
  return word;
}

const FLAGS = { readBack: true, format: false };
const REQUESTS: readonly object[] = [
  { do: 'verify', path: '/a', trustRoot: '/r' },
  { do: 'stage', path: '/a', trustRoot: '/r', depotDir: '/d' },
  { do: 'install', path: '/a', trustRoot: '/r', targets: [], progressFile: '/p', ...FLAGS },
];

const request: Target = {
  name: 'request',
  reads: 'the request of the installer, greetings and ranges of a copy',
  limits: { steps: { base: 4000, perByte: 4 }, buffers: { base: 60_000, perByte: 10 } },
  open: () => Promise.resolve({ make: requestTrial }),
};

function requestTrial(random: Random): ReturnType<Subject['make']> {
  const text = bentJson(random, random.pick(REQUESTS)).toString('latin1');
  const greeting = cut(mutated(random, encodeGreeting(random.below(2 ** 31))), 16);
  const asked = encodeRequests({ offset: random.below(3000), length: 1 + random.below(3000) });
  const range = cut(random.oneIn(3) ? asked : mutated(random, asked), 12);
  const sizeBytes = random.below(5000);
  return {
    sizeBytes: text.length + 28,
    judge: async () => {
      const words = [
        await ending(() => parseRequest(text)),
        await ending(() => {
          promise(Number.isSafeInteger(decodeGreeting(greeting)), 'a size');
        }),
        await ending(() => {
          const { offset, length } = decodeRequest(range, sizeBytes);
          promise(offset >= 0 && length > 0 && offset + length <= sizeBytes, 'a range');
        }),
      ];
      return words.join(' ');
    },
  };
}

/** Exactly so many bytes, as a stream gives them out. */
const cut = (bytes: Buffer, length: number): Buffer =>
  Buffer.concat([bytes, Buffer.alloc(length)], length);

/** All of them. */
export const WIRE_TARGETS: readonly Target[] = [control, linkTarget, serial, request];
