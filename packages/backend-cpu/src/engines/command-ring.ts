import { control } from '../generated/control.ts';
import { opcodes } from '../generated/opcodes.ts';

const RING_WORDS = control.RING_WORDS;
/** Does nothing, but has a number: what follows a late write waits for it as for any command. */
const nothing = new Float64Array([opcodes.copy, 5, 0, 0, 0]);
const signal = new Float64Array([control.OP_SIGNAL, 2]);

type Waiting = { readonly words: Float64Array } | { readonly write: () => void };

/**
 * JavaScript's side of the ring that `kernels/engine/team.c` eats. What has no room waits in a list here, in order, until the
 * leader signals that there is room again: JavaScript never waits.
 */
export class CommandRing {
  readonly words: Int32Array;
  readonly #ring: Float64Array;
  readonly #wake: () => void;
  #waiting: Waiting[] = [];
  #next = 0;
  #tail = 0;
  #placed = 0;
  #signalled = false;
  /** Commands enqueued so far. */
  enqueued = 0;

  /** `wake` wakes a leader that sleeps until `TAIL` changes. */
  constructor(buffer: ArrayBufferLike, byteOffset: number, wake: () => void) {
    this.words = new Int32Array(buffer, byteOffset, control.WORDS);
    this.#ring = new Float64Array(buffer, byteOffset + control.WORDS * Int32Array.BYTES_PER_ELEMENT, RING_WORDS);
    this.#wake = wake;
  }

  enqueue(command: Float64Array, length: number): void {
    this.enqueued++;
    if (this.#waiting.length === 0 && this.#place(command, length)) {
      this.#placed++;
      this.#publish();
      return;
    }
    this.#waiting.push({ words: command.slice(0, length) });
    this.drain();
  }

  /** Calls `write` when all that was enqueued before is done, and before what is enqueued later. */
  writeLater(write: () => void): void {
    this.#waiting.push({ write }, { words: nothing });
    this.enqueued++;
    this.drain();
  }

  /** Has the leader signal when all that was enqueued so far is done. */
  askForSignal(): void {
    if (this.#waiting.length === 0 && this.#place(signal, signal.length)) this.#publish();
    else this.#waiting.push({ words: signal });
  }

  /** Commands done: the counter in memory has 32 bits, so it is the distance that is read. */
  completed(): number {
    const behind = (this.#placed - Atomics.load(this.words, control.COMPLETED)) >>> 0;
    return this.#placed - behind;
  }

  /** Moves what waits into the ring, as far as there is room. Called at each signal. */
  drain(): void {
    while (this.#next < this.#waiting.length) {
      const item = this.#waiting[this.#next]!;
      if ('write' in item) {
        if (this.completed() < this.#placed) {
          if (!this.#signalled && this.#place(signal, signal.length)) {
            this.#signalled = true;
            this.#publish();
          }
          if (this.#signalled || this.#isFull()) return;
          continue;
        }
        this.#signalled = false;
        item.write();
      } else {
        if (!this.#place(item.words, item.words.length)) {
          if (this.#isFull()) return;
          continue;
        }
        if (item.words !== signal) this.#placed++;
      }
      this.#next++;
      if (this.#next % 64 === 0) this.#publish();
    }
    this.#waiting = [];
    this.#next = 0;
    this.#publish();
  }

  /** Asks to be told of room; false where meanwhile half of the ring has become free. */
  #isFull(): boolean {
    this.#publish();
    Atomics.store(this.words, control.WANT_SPACE, 1);
    if (this.#used() > RING_WORDS / 2) return true;
    Atomics.store(this.words, control.WANT_SPACE, 0);
    return false;
  }

  #used(): number {
    return (this.#tail - Atomics.load(this.words, control.HEAD)) >>> 0;
  }

  /** Commands are contiguous: one that does not fit before the ring's end starts at its beginning. */
  #place(command: Float64Array, length: number): boolean {
    const position = this.#tail & (RING_WORDS - 1);
    const rest = RING_WORDS - position;
    const skipped = length > rest ? rest : 0;
    if (this.#used() + skipped + length > RING_WORDS) return false;
    if (skipped > 0) {
      this.#ring[position] = control.OP_WRAP;
      this.#tail = (this.#tail + skipped) | 0;
    }
    this.#ring.set(length === command.length ? command : command.subarray(0, length), this.#tail & (RING_WORDS - 1));
    this.#tail = (this.#tail + length) | 0;
    return true;
  }

  #publish(): void {
    if (Atomics.load(this.words, control.TAIL) === this.#tail) return;
    Atomics.store(this.words, control.TAIL, this.#tail);
    if (Atomics.load(this.words, control.ASLEEP) !== 0) this.#wake();
  }
}
