import { BackendError, type Storage } from '@lowrank/core';
import type { Call } from '../device.ts';
import type { Arena, Caller } from '../memory/arena.ts';
import type { WebgpuStorage } from '../memory/storage.ts';
import { fillProgram } from './fill-program.ts';
import type { BindGroups, Bound } from './bind-groups.ts';
import type { Commands } from './commands.ts';
import type { Pipelines } from './pipelines.ts';
import {
  elementBytes,
  elementOf,
  isWritten,
  parameterTypes,
  takesWindows,
  type OperandType,
  type ParameterType,
  type Program,
  type Windows,
} from './program.ts';

/** What a program says, looked up once. */
interface Description {
  readonly operands: readonly { name: string; type: OperandType; elementBytes: number; written: boolean }[];
  readonly parameters: readonly [name: string, type: ParameterType][];
}

export interface DispatcherParts {
  readonly arena: Arena;
  readonly commands: Commands;
  readonly pipelines: Pipelines;
  readonly bindGroups: BindGroups;
  /** Bytes of the largest binding. */
  readonly bindingBytes: number;
  /** Storage bindings of a program. */
  readonly bindings: number;
}

/** Turns a call of a program into a dispatch: binds storage, in windows where it is larger than a binding, and packs parameters. */
export class Dispatcher {
  readonly #parts: DispatcherParts;
  readonly #descriptions = new WeakMap<Program, Description>();
  readonly #words = new Uint32Array(64);
  readonly #integers = new Int32Array(this.#words.buffer);
  readonly #floats = new Float32Array(this.#words.buffer);

  constructor(parts: DispatcherParts) {
    this.#parts = parts;
  }

  /** `scratch` gives memory for copies of operands that are read and written at once. */
  run(program: Program, call: Call, caller: Caller, scratch: (words: number) => Storage): void {
    if (call.workgroups === 0) return;
    const { arena, commands, pipelines, bindGroups } = this.#parts;
    const description = this.#describe(program);
    const storages = description.operands.map(({ name }) => this.#usable(arena.check(call.operands[name]!)));
    for (const storage of storages) this.materialize(storage);
    this.#copyAliases(description, storages, scratch);
    const windows = storages.map((storage, index) => this.#windows(program, description, index, storage, caller));
    const bound = storages.flatMap((storage, index) => bindings(storage, windows[index]!, description, index));
    if (bound.length > this.#parts.bindings) {
      throw tooLarge(caller, `it takes ${bound.length} bindings, and this device has ${this.#parts.bindings}`);
    }
    const describe = (): string => caller.describe();
    const pipeline = pipelines.get(program, call.constants ?? {}, windows, caller.kernel, describe);
    const words = this.#pack(description, call);
    const buffers = bound.map(({ pooled }) => pooled);
    commands.dispatch(
      caller.kernel,
      pipeline.pipeline,
      bindGroups.get(pipeline, bound),
      buffers,
      words,
      call.workgroups,
    );
  }

  /** Writes what `fill` has put off. */
  materialize(storage: WebgpuStorage): void {
    const { fill: word, length } = storage;
    if (word === undefined) return;
    storage.fill = undefined;
    const call = { operands: { y: storage }, parameters: { word, length }, workgroups: Math.ceil(length / 256) };
    this.run(fillProgram, call, { kernel: 'fill', describe: () => `fill of ${length} elements` }, () => storage);
  }

  #describe(program: Program): Description {
    let description = this.#descriptions.get(program);
    if (description === undefined) {
      const operands = Object.entries(program.operands).map(([name, type]) => {
        return { name, type, elementBytes: elementBytes[elementOf(type)], written: isWritten(type) };
      });
      description = { operands, parameters: parameterTypes(program) };
      this.#descriptions.set(program, description);
    }
    return description;
  }

  #usable(storage: WebgpuStorage): WebgpuStorage {
    if (storage.pooled.failure !== undefined) throw storage.pooled.failure;
    return storage;
  }

  /** WebGPU binds no buffer for writing that the same dispatch binds again: what is read becomes a copy. */
  #copyAliases({ operands }: Description, storages: WebgpuStorage[], scratch: (words: number) => Storage): void {
    for (const [index, storage] of storages.entries()) {
      if (operands[index]!.written || !storages.some((other, i) => other === storage && operands[i]!.written)) continue;
      const copy = this.#parts.arena.check(scratch(Math.ceil(storage.byteLength / 4)));
      this.#parts.commands.copy(storage.pooled.buffer, copy.pooled.buffer, storage.byteLength);
      copy.pooled.batch = this.#parts.commands.batch;
      storage.pooled.batch = this.#parts.commands.batch;
      storages[index] = copy;
    }
  }

  #windows(
    program: Program,
    { operands }: Description,
    index: number,
    storage: WebgpuStorage,
    caller: Caller,
  ): Windows {
    const { bindingBytes } = this.#parts;
    const operand = operands[index]!;
    if (storage.byteLength <= bindingBytes) return { count: 1, elements: 0 };
    if (!takesWindows(program, operand.name)) {
      const most = `one binding holds ${bindingBytes}`;
      throw tooLarge(caller, `'${operand.name}' of '${program.name}' has ${storage.byteLength} bytes, and ${most}`);
    }
    const bytes = bindingBytes - (bindingBytes % 256);
    return { count: Math.ceil(storage.byteLength / bytes), elements: bytes / operand.elementBytes };
  }

  /** The parameters as words; valid until the next call. */
  #pack({ parameters }: Description, call: Call): Uint32Array {
    for (const [at, [name, type]] of parameters.entries()) {
      const value = at === parameters.length - 1 ? call.workgroups : call.parameters[name]!;
      if (type === 'u32') this.#words[at] = value;
      else if (type === 'i32') this.#integers[at] = value;
      else this.#floats[at] = value;
    }
    return this.#words.subarray(0, parameters.length);
  }
}

function bindings(storage: WebgpuStorage, windows: Windows, { operands }: Description, index: number): Bound[] {
  const { pooled } = storage;
  // At least one element of any type, and whole ones.
  if (windows.count === 1) return [{ pooled, offset: 0, size: Math.max(16, Math.ceil(storage.byteLength / 16) * 16) }];
  const bytes = windows.elements * operands[index]!.elementBytes;
  return Array.from({ length: windows.count }, (_, window) => {
    return { pooled, offset: window * bytes, size: Math.min(bytes, pooled.size - window * bytes) };
  });
}

function tooLarge(caller: Caller, why: string): BackendError {
  return new BackendError('BACKEND_OUT_OF_MEMORY', `${caller.describe()}: ${why}`, { kernel: caller.kernel });
}
