/**
 * Hands out ranges of the engine's memory. Free ranges are kept by size, in the classes of TLSF (Masmano et al. 2004,
 * "TLSF: a new dynamic memory allocator for real-time systems"): exact up to 2 KiB, then 16 to each power of two.
 * Neighbouring free ranges are joined at once, and of the first fitting ones the smallest is taken.
 *
 * Work runs in order, so a range may be handed out again while commands that use it are still queued: what is enqueued later
 * finds them done. Only the host, which writes without queueing, has to know: `quietAt` is the number of the last command
 * that may still use the range.
 */
const ALIGNMENT = 64;
const EXACT_CLASSES = 32;
const CLASSES = EXACT_CLASSES + 28 * 16;
/** How many ranges of a class are looked at for the best fit. */
const CANDIDATES = 16;

/** A range of memory, in use or free; neighbours are linked. */
export interface Block {
  readonly offset: number;
  size: number;
  free: boolean;
  /** Commands up to this number may use what was stored here before. */
  quietAt: number;
  below: Block | undefined;
  above: Block | undefined;
  previousFree: Block | undefined;
  nextFree: Block | undefined;
}

const sizeOf = (bytes: number): number => Math.max(ALIGNMENT, Math.ceil(bytes / ALIGNMENT) * ALIGNMENT);

/** Of a size in units of `ALIGNMENT`: larger classes hold only larger sizes. */
function classOf(units: number): number {
  if (units < EXACT_CLASSES) return units;
  const exponent = 31 - Math.clz32(units);
  return EXACT_CLASSES + (exponent - 5) * 16 + ((units >>> (exponent - 4)) & 15);
}

export class Allocator {
  /** End of the highest range ever handed out. */
  top: number;
  readonly #start: number;
  readonly #grow: (end: number) => boolean;
  readonly #lists: (Block | undefined)[] = Array.from({ length: CLASSES }, () => undefined);
  readonly #nonEmpty: Int32Array = new Int32Array(Math.ceil(CLASSES / 32));
  #last: Block | undefined;

  /** `grow` makes memory usable up to an address, or says that it cannot. */
  constructor(start: number, grow: (end: number) => boolean) {
    this.#start = start;
    this.#grow = grow;
    this.top = start;
  }

  /** `undefined` where memory is out. */
  allocate(bytes: number): Block | undefined {
    const size = sizeOf(bytes);
    const block = this.#find(size, Number.POSITIVE_INFINITY) ?? this.#extend(size);
    return block && this.#split(block, size);
  }

  /** A free range that no command after number `quietBy` uses; `undefined` where there is none, though memory might grow. */
  allocateQuiet(bytes: number, quietBy: number): Block | undefined {
    const size = sizeOf(bytes);
    const block = this.#find(size, quietBy);
    return block && this.#split(block, size);
  }

  /** Gives a range back; commands up to number `lastUse` may still use it. */
  free(block: Block, lastUse: number): void {
    block.quietAt = lastUse;
    let merged = block;
    const { below, above } = block;
    if (above?.free) {
      this.#remove(above);
      this.#join(merged, above);
    }
    if (below?.free) {
      this.#remove(below);
      this.#join(below, merged);
      merged = below;
    }
    this.#insert(merged);
  }

  /** Bytes of free ranges below `top`, and the largest of them. */
  fragmentation(): { free: number; largest: number } {
    let free = 0;
    let largest = 0;
    for (let block = this.#last; block !== undefined; block = block.below) {
      if (!block.free) continue;
      free += block.size;
      largest = Math.max(largest, block.size);
    }
    return { free, largest };
  }

  #find(size: number, quietBy: number): Block | undefined {
    const first = classOf(size / ALIGNMENT);
    for (let index = first; index >= 0; index = this.#nextNonEmpty(index + 1)) {
      let best: Block | undefined;
      let looked = 0;
      for (let block = this.#lists[index]; block !== undefined && looked < CANDIDATES; block = block.nextFree) {
        looked++;
        if (block.size < size || block.quietAt > quietBy) continue;
        if (best === undefined || block.size < best.size) best = block;
        if (block.size === size) break;
      }
      if (best !== undefined) {
        this.#remove(best);
        return best;
      }
    }
    return undefined;
  }

  /** Takes memory that was never used, after the highest range where that is free. */
  #extend(size: number): Block | undefined {
    const last = this.#last;
    const joins = last?.free === true;
    const offset = joins ? last.offset : this.top;
    if (!this.#grow(offset + size)) return undefined;
    this.top = offset + size;
    if (joins) {
      this.#remove(last);
      last.size = size;
      return last;
    }
    const block: Block = {
      offset,
      size,
      free: false,
      quietAt: 0,
      below: last,
      above: undefined,
      previousFree: undefined,
      nextFree: undefined,
    };
    if (last !== undefined) last.above = block;
    this.#last = block;
    return block;
  }

  #split(block: Block, size: number): Block {
    if (block.size === size) return block;
    const rest: Block = {
      offset: block.offset + size,
      size: block.size - size,
      free: false,
      quietAt: block.quietAt,
      below: block,
      above: block.above,
      previousFree: undefined,
      nextFree: undefined,
    };
    if (block.above === undefined) this.#last = rest;
    else block.above.below = rest;
    block.above = rest;
    block.size = size;
    this.#insert(rest);
    return block;
  }

  #join(below: Block, above: Block): void {
    below.size += above.size;
    below.quietAt = Math.max(below.quietAt, above.quietAt);
    below.above = above.above;
    if (above.above === undefined) this.#last = below;
    else above.above.below = below;
  }

  #insert(block: Block): void {
    const index = classOf(block.size / ALIGNMENT);
    const head = this.#lists[index];
    block.free = true;
    block.previousFree = undefined;
    block.nextFree = head;
    if (head !== undefined) head.previousFree = block;
    this.#lists[index] = block;
    this.#nonEmpty[index >> 5]! |= 1 << (index & 31);
  }

  #remove(block: Block): void {
    const index = classOf(block.size / ALIGNMENT);
    const { previousFree, nextFree } = block;
    if (previousFree === undefined) {
      this.#lists[index] = nextFree;
      if (nextFree === undefined) this.#nonEmpty[index >> 5]! &= ~(1 << (index & 31));
    } else {
      previousFree.nextFree = nextFree;
    }
    if (nextFree !== undefined) nextFree.previousFree = previousFree;
    block.free = false;
    block.previousFree = undefined;
    block.nextFree = undefined;
  }

  /** The first class from `index` on that holds a range, or -1. */
  #nextNonEmpty(index: number): number {
    for (let word = index >> 5; word < this.#nonEmpty.length; word++) {
      const bits = this.#nonEmpty[word]! & (word === index >> 5 ? -1 << (index & 31) : -1);
      if (bits !== 0) return word * 32 + 31 - Math.clz32(bits & -bits);
    }
    return -1;
  }

  /** Bytes from the start of the arena to `top`. */
  get extent(): number {
    return this.top - this.#start;
  }
}
