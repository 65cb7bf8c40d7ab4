/**
 * What the inlined module is changed to where an engine lacks relaxed SIMD, or a page shared memory. Three modules that are compiled
 * each for its own would make the package twice as large.
 */
export interface Rewriting {
  /** Each relaxed multiply-add becomes a product and a sum, both rounded. */
  readonly unfused: boolean;
  /** Its memory is not shared. Atomic instructions work on such memory too; only waiting does not, and one thread never waits. */
  readonly unshared: boolean;
}

/** Sections of a module. */
const TYPES = 1;
const IMPORTS = 2;
const FUNCTIONS = 3;
const CODE = 10;

const V128 = 0x7b;
const MEMORY = 2;
const MULTIPLY_ADD = 0xfd00 + 0x105;
const MULTIPLY: readonly number[] = [0xfd, 0xe6, 0x01];
const ADD: readonly number[] = [0xfd, 0xe4, 0x01];

/** @throws {Error} an instruction is none that the kernels' compiler is known to emit */
export function rewrite(module: Uint8Array, { unfused, unshared }: Rewriting): Uint8Array<ArrayBuffer> {
  const reader = new Reader(module, 8);
  const written: Part[] = [module.subarray(0, 8)];
  let parameters: number[] = [];
  let types: number[] = [];
  while (reader.at < module.length) {
    const begin = reader.at;
    const id = reader.byte();
    const content = new Reader(reader.piece());
    if (id === TYPES) parameters = content.list(() => parametersOf(content));
    if (id === FUNCTIONS) types = content.list(() => content.integer());
    if (id === IMPORTS && unshared) written.push([id], withLength(unsharedImports(content)));
    else if (id === CODE && unfused) {
      const bodies = content.list((i) => withLength(unfusedBody(new Reader(content.piece()), parameters[types[i]!]!)));
      written.push([id], withLength(join([integer(bodies.length), ...bodies])));
    } else written.push(module.subarray(begin, reader.at));
  }
  return join(written);
}

function parametersOf(reader: Reader): number {
  reader.byte();
  const { length } = reader.piece();
  reader.piece();
  return length;
}

/** A shared memory's limits have 2 among their flags. */
function unsharedImports(reader: Reader): Uint8Array {
  const bytes = reader.bytes.slice();
  reader.list(() => {
    reader.piece();
    reader.piece();
    const kind = reader.byte();
    if (kind === MEMORY) {
      bytes[reader.at]! &= ~2;
      reader.integers(3);
    } else if (kind === 0) reader.integer();
    else throw new Error(`an import of kind ${kind}`);
  });
  return bytes;
}

/** x, y and z on the stack: z goes to a local of its own, x and y are multiplied, and z is added. */
function unfusedBody(reader: Reader, parameters: number): Uint8Array {
  const { bytes } = reader;
  let local = parameters;
  const groups = reader.list(() => {
    local += reader.integer();
    reader.byte();
  }).length;
  const written: Part[] = [integer(groups + 1), bytes.subarray(integer(groups).length, reader.at), [1, V128]];
  const unfused = [0x21, ...integer(local), ...MULTIPLY, 0x20, ...integer(local), ...ADD];
  let copied = reader.at;
  while (reader.at < bytes.length) {
    const begin = reader.at;
    if (reader.instruction() !== MULTIPLY_ADD) continue;
    written.push(bytes.subarray(copied, begin), unfused);
    copied = reader.at;
  }
  written.push(bytes.subarray(copied));
  return join(written);
}

type Part = Uint8Array | readonly number[];

function withLength(bytes: Uint8Array): Uint8Array {
  return join([integer(bytes.length), bytes]);
}

function join(parts: readonly Part[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((total, { length }) => total + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** LEB128, as short as it gets. */
function integer(value: number): number[] {
  return value < 128 ? [value] : [(value & 127) | 128, ...integer(value >>> 7)];
}

class Reader {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(): number {
    return this.bytes[this.at++]!;
  }

  /** LEB128, unsigned; of signed ones only the length counts. */
  integer(): number {
    let value = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = this.byte();
      value |= (byte & 127) << shift;
      if (byte < 128) return value >>> 0;
    }
  }

  /** What follows its length. */
  piece(): Uint8Array {
    const length = this.integer();
    return this.bytes.subarray(this.at, (this.at += length));
  }

  /** What `read` makes of each of as many as the first integer says. */
  list<Item>(read: (index: number) => Item): Item[] {
    return Array.from({ length: this.integer() }, (_, index) => read(index));
  }

  integers(count: number): void {
    for (let i = 0; i < count; i++) this.integer();
  }

  /** The next instruction: its opcode, or 0xfd00 and more where SIMD's. */
  instruction(): number {
    const code = this.byte();
    if (code === 0xfd) return 0xfd00 + this.#simd();
    if (code === 0xfc) {
      // Bulk memory: init and copy have two, drop and fill one.
      const operation = this.integer();
      if (operation > 7) this.integers(operation % 2 === 0 ? 2 : 1);
    } else if (code === 0xfe) {
      // Atomic: all but the fence have an address.
      this.integers(this.integer() === 3 ? 1 : 2);
    } else if (code === 0x0e) {
      this.integers(this.integer() + 1);
    } else if (code === 0x43) {
      this.at += 4;
    } else if (code === 0x44) {
      this.at += 8;
    } else if (among(code, TWO)) {
      this.integers(2);
    } else if (among(code, ONE)) {
      this.integer();
    } else if (!among(code, NONE)) {
      throw new Error(`unknown instruction ${code}`);
    }
    return code;
  }

  #simd(): number {
    const operation = this.integer();
    const withLane = operation >= 84 && operation <= 91;
    if (operation <= 11 || withLane || operation === 92 || operation === 93) this.integers(2);
    if (withLane || (operation >= 21 && operation <= 34)) this.at++;
    if (operation === 12 || operation === 13) this.at += 16;
    return operation;
  }
}

/** First and last opcodes by the number of integers behind them. */
const TWO = [0x11, 0x11, 0x28, 0x3e];
const ONE = [0x02, 0x04, 0x0c, 0x0d, 0x10, 0x10, 0x20, 0x24, 0x3f, 0x42];
const NONE = [0x00, 0x01, 0x05, 0x05, 0x0b, 0x0b, 0x0f, 0x0f, 0x1a, 0x1b, 0x45, 0xc4];

function among(code: number, ranges: readonly number[]): boolean {
  return ranges.some((first, i) => i % 2 === 0 && code >= first && code <= ranges[i + 1]!);
}
