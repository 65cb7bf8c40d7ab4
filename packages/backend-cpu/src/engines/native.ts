import { BackendError } from '@lowrank/core';
import { CommandRing } from './command-ring.ts';
import type { ProductOperands } from './engine.ts';
import { SharedEngine } from './shared-engine.ts';

/** What `kernels/engine/addon.c` exports. */
interface Addon {
  instructionSets(): string[];
  bf16Sets(): string[];
  create(
    instructionSet: string,
    threads: number,
    reserve: number,
    onSignal: () => void,
  ): { handle: object; block: ArrayBuffer; offset: number; reserved: number };
  wake(handle: object): void;
  write(handle: object, address: number, bytes: Uint8Array): void;
  read(handle: object, address: number, bytes: Uint8Array): void;
  commit(handle: object, bytes: number): boolean;
  hold(handle: object, whether: boolean): void;
  end(handle: object): void;
}

/** Windows commits memory in steps of this size; elsewhere touching it is enough. */
const COMMIT_STEP = 64 * 2 ** 20;

/** This platform's addon, or why there is none. */
function loadAddon(): Addon | { readonly reason: string } {
  const node = globalThis.process;
  if (typeof node?.getBuiltinModule !== 'function') return { reason: 'there are no addons outside of Node' };
  const file = `${node.platform}-${node.arch}/kernels.node`;
  try {
    // By the package's name: this code may lie in a bundle.
    const require = node.getBuiltinModule('node:module').createRequire(import.meta.url);
    const addon = require(`@lowrank/backend-cpu/prebuilds/${file}`) as Addon;
    return addon.instructionSets().length > 0
      ? addon
      : { reason: `no instruction set in ${file} runs on this processor` };
  } catch (error) {
    return { reason: error instanceof Error ? error.message.split('\n')[0]! : String(error) };
  }
}

export interface NativeOptions {
  readonly threads: number;
  readonly memoryLimit: number;
  readonly instructionSet?: string | undefined;
  readonly productOperands: ProductOperands;
}

/**
 * Starts the addon's threads. Throws `BACKEND_NOT_AVAILABLE` where there is no addon, not that instruction set, or no
 * instructions for those products.
 */
export function nativeEngine(options: NativeOptions): SharedEngine {
  const addon = loadAddon();
  if ('reason' in addon) {
    throw new BackendError('BACKEND_NOT_AVAILABLE', `the native engine cannot be used: ${addon.reason}`);
  }
  const { productOperands } = options;
  const sets = productOperands === 'bf16' ? addon.bf16Sets() : addon.instructionSets();
  if (sets.length === 0) {
    throw new BackendError(
      'BACKEND_NOT_AVAILABLE',
      'bf16 products need an x86-64 processor with avx512_bf16, or with amx_bf16 on Linux, and neither is here: ' +
        `the native engine runs ${addon.instructionSets().join(', ')} on this machine`,
      { value: productOperands },
    );
  }
  const set = options.instructionSet ?? sets.at(-1)!;
  if (!sets.includes(set)) {
    throw new BackendError(
      'BACKEND_NOT_AVAILABLE',
      `this machine does not run the instruction set ${set} with ${productOperands} products; it runs ${sets.join(', ')}`,
      { value: set },
    );
  }
  const { handle, block, offset, reserved } = addon.create(set, options.threads, options.memoryLimit, () =>
    engine.signal(),
  );
  let committed = 0;
  let ended = false;
  const engine = new SharedEngine({
    name: `native ${set}`,
    threads: options.threads,
    fused: true,
    productOperands,
    firstAddress: 0,
    endAddress: reserved,
    ring: new CommandRing(block, offset, () => addon.wake(handle)),
    commit(end) {
      if (end <= committed) return true;
      const wanted = Math.min(reserved, Math.ceil(end / COMMIT_STEP) * COMMIT_STEP);
      if (!addon.commit(handle, wanted)) return false;
      committed = wanted;
      return true;
    },
    write: (address, bytes) => addon.write(handle, address, bytes),
    read: (address, bytes) => addon.read(handle, address, bytes),
    reserved: () => block.byteLength,
    hold(whether) {
      if (!ended) addon.hold(handle, whether);
    },
    wakeAll: () => addon.wake(handle),
    async release() {
      if (ended) return;
      ended = true;
      addon.end(handle);
    },
  });
  return engine;
}
