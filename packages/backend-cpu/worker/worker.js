/*
 * A thread of the WebAssembly engine. Runs in Node's worker_threads and in browsers' workers alike, so it imports nothing;
 * the build inlines it as a string.
 *
 * Shared memory: one message starts it, { module, memory, control, threads, index, stack }, and it stays in the engine's
 * loop until CONTROL_QUIT. Unshared memory: { module, control, ring, ended... } and then a message for each batch.
 */
'use strict';
(() => {
  const node = globalThis.process?.getBuiltinModule?.('node:worker_threads');
  const post = node
    ? (message, transfer) => node.parentPort.postMessage(message, transfer)
    : (message, transfer) => self.postMessage(message, transfer);

  /** Offsets are unsigned; WebAssembly hands them out signed. */
  const instantiate = async (module, memory, stack) => {
    const signal = () => post({ kind: 'signal' });
    const instance = await WebAssembly.instantiate(module, { env: { memory, signal } });
    if (stack !== undefined) instance.exports.__stack_pointer.value = stack | 0;
    return instance.exports;
  };

  const runShared = async (start) => {
    const engine = await instantiate(start.module, start.memory, start.stack);
    post({ kind: 'ready' });
    engine.run(start.control, start.threads, start.index);
    if (node) node.parentPort.close();
    else self.close();
  };

  /** Batches come in order: growth, bytes to write, commands, reads. */
  const makeUnshared = async (start) => {
    const memory = new WebAssembly.Memory({ initial: start.pages, maximum: 65535 });
    const engine = await instantiate(start.module, memory);
    const control = start.control / 4;
    const ring = (start.control + start.controlBytes) / 8;
    post({ kind: 'ready' });
    return (message) => {
      if (message.kind === 'grow') {
        try {
          memory.grow(message.pages - memory.buffer.byteLength / 65536);
        } catch {
          post({ kind: 'grown', pages: memory.buffer.byteLength / 65536, wanted: message.pages });
        }
      } else if (message.kind === 'write') {
        new Uint8Array(memory.buffer, message.offset, message.bytes.length).set(message.bytes);
      } else if (message.kind === 'run') {
        const words = new Int32Array(memory.buffer, start.control, start.controlBytes / 4);
        new Float64Array(memory.buffer).set(message.words, ring);
        words[start.head] = 0;
        words[start.tail] = message.words.length;
        engine.runAlone(start.control);
      } else if (message.kind === 'read') {
        const bytes = new Uint8Array(memory.buffer, message.offset, message.length).slice();
        const failure = new Int32Array(memory.buffer).slice(control, control + start.controlBytes / 4);
        new Int32Array(memory.buffer)[control + start.failed] = 0;
        post({ kind: 'read', id: message.id, bytes, failure }, [bytes.buffer]);
      }
    };
  };

  let handle;
  const early = [];
  const receive = (message) => {
    if (message.kind === 'shared') runShared(message).catch(report);
    else if (message.kind === 'unshared') {
      makeUnshared(message)
        .then((made) => {
          handle = made;
          for (const waiting of early.splice(0)) handle(waiting);
        })
        .catch(report);
    } else if (handle) handle(message);
    else early.push(message);
  };
  const report = (error) => post({ kind: 'error', message: String(error?.stack ?? error) });

  if (node) node.parentPort.on('message', receive);
  else self.addEventListener('message', (event) => receive(event.data));
})();
