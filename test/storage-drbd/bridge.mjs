/**
 * Runs in a guest and joins its virtio-serial port with the socket of the storage software: JSON
 * lines in both directions. A line with `sh` is a command for the shell, `start` starts the storage
 * software, anything else is a request that is passed on as it is. Always holds: every line with an
 * id is answered once. Imports Node only; no part of it is in an image.
 */
import { execFile, spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { createReadStream } from 'node:fs';
import { connect } from 'node:net';

const NAME = 'tandem.test';
const SOCKET = '/run/tandem/storage.sock';
const PORTS = '/sys/class/virtio-ports';
const port = readdirSync(PORTS).find(
  (one) => readFileSync(`${PORTS}/${one}/name`, 'utf8').trim() === NAME,
);
const fd = openSync(`/dev/${port}`, 'r+');
let storage = null;
let socket = null;

function tell(value) {
  writeSync(fd, `${JSON.stringify(value)}\n`);
}

function linesOf(onLine) {
  let rest = '';
  return (chunk) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) if (line !== '') onLine(line);
  };
}

/** Open questions of the socket's connection; they end with it. */
const open = new Set();

function pass(line, id) {
  if (socket === null) {
    socket = connect(SOCKET);
    socket.setEncoding('utf8');
    const feed = linesOf((answer) => {
      const { id: to } = JSON.parse(answer);
      open.delete(to);
      writeSync(fd, `${answer}\n`);
    });
    socket.on('data', feed);
    socket.on('error', () => undefined);
    socket.once('close', () => {
      socket = null;
      for (const to of open) tell({ id: to, ok: false, error: { code: 'store.unreachable' } });
      open.clear();
    });
  }
  open.add(id);
  socket.write(`${line}\n`);
}

function start(id, settings) {
  const program = '/tmp/slot/opt/storage/storage.mjs';
  const env = { ...process.env, NODE_COMPILE_CACHE: '/data/cache/node' };
  const stdio = ['ignore', 'pipe', 'pipe'];
  storage = spawn(process.execPath, [program, JSON.stringify(settings)], { env, stdio });
  let words = '';
  let told = false;
  const answer = (ok) => {
    if (!told) tell({ id, ok, result: { pid: storage.pid, words } });
    told = true;
  };
  storage.stdout.on('data', (chunk) => {
    if (String(chunk).includes('"ready":true')) answer(true);
  });
  storage.stderr.on('data', (chunk) => (words += chunk));
  storage.once('close', () => answer(false));
}

createReadStream('', { fd, encoding: 'utf8' }).on(
  'data',
  linesOf((line) => {
    const { id, sh, start: settings } = JSON.parse(line);
    if (settings !== undefined) start(id, settings);
    else if (sh === undefined) pass(line, id);
    else {
      execFile('/bin/sh', ['-c', sh], (error, stdout, stderr) => {
        const status = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1;
        tell({ id, ok: true, result: { status, text: stdout + stderr } });
      });
    }
  }),
);
process.once('exit', () => closeSync(fd));
tell({ up: true });
