/** What `matmul` and `matmulQuantized` round their operands to before they multiply: nothing, or bfloat16. */
export type ProductOperands = 'f32' | 'bf16';

/** The threads that run commands, and the memory they run on: native, WebAssembly with threads, WebAssembly with one. */
export interface Engine {
  /** `'native x86_64_v4'`, `'native x86_64_v4_amx'`, `'wasm relaxed'`, `'wasm baseline'`, `'wasm unshared'`. */
  readonly name: string;
  readonly threads: number;
  /** Whether multiply-adds round once by how the kernels were compiled (relaxed WebAssembly may still not fuse). */
  readonly fused: boolean;
  /** Default 'f32'. */
  readonly productOperands?: ProductOperands;
  /** Addresses storage may have. */
  readonly firstAddress: number;
  readonly endAddress: number;

  /**
   * Reads and writes travel in line with the commands. Where false they touch memory at once: writes only where no queued
   * command does, `read` when all that was enqueued before it is done.
   */
  readonly transfersInOrder: boolean;

  /** Commands enqueued so far. */
  readonly enqueued: number;
  /** How many of them are done. */
  completed(): number;
  /** Whether all that was enqueued so far is done; asked again and again it becomes so. Absent where only a later turn can tell. */
  idle?(): boolean;

  /** Appends a command, [opcode, words, arguments...], which is copied. Never waits. */
  enqueue(command: Float64Array, words: number): void;
  /** Makes memory up to this address usable; false where the system gives no more. */
  commit(end: number): boolean;
  /** Copies bytes in; see `transfersInOrder`. */
  write(address: number, bytes: Uint8Array): void;
  /** Copies bytes in when all that was enqueued before is done, and before anything that is enqueued later. */
  writeLater(address: number, bytes: Uint8Array): void;
  /** Waits for all that was enqueued so far and copies out; rejects with a failure that a command reported. */
  read(address: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Bytes held from the system. */
  reserved(): number;
  /** Ends the threads; reads that are still waiting are rejected. */
  dispose(): Promise<void>;
}
