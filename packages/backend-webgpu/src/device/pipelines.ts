import { BackendError } from '@lowrank/core';
import type { Counting } from './counters.ts';
import { codeOf, type Failures } from './failures.ts';
import { isWritten, parameterTypes, wgslOf, type Constants, type Program, type Windows } from './program.ts';
import { computeStage } from './usage.ts';

export interface Pipeline {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
  /** Names the layout in keys of bind groups. */
  readonly layoutId: number;
  /** Bytes of the parameters. */
  readonly uniformBytes: number;
  /** What the device has said of it since. */
  failure: BackendError | undefined;
}

/** Compiled programs, by program, constants and windows. */
export class Pipelines {
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #counting: Counting;
  readonly #pipelines = new Map<Program, Map<string, Pipeline>>();
  readonly #layouts = new Map<string, { layout: GPUBindGroupLayout; id: number }>();

  constructor(device: GPUDevice, failures: Failures, counting: Counting) {
    this.#device = device;
    this.#failures = failures;
    this.#counting = counting;
  }

  /** `call` describes the call, for the error of a program that the device refuses; it throws that each time it is asked for again. */
  get(
    program: Program,
    constants: Constants,
    windows: readonly Windows[],
    kernel: string,
    call: () => string,
  ): Pipeline {
    let key = '';
    for (const name in constants) key += `${name}=${String(constants[name])} `;
    for (const { count } of windows) key += count;
    let variants = this.#pipelines.get(program);
    if (variants === undefined) {
      variants = new Map<string, Pipeline>();
      this.#pipelines.set(program, variants);
    }
    let pipeline = variants.get(key);
    if (pipeline === undefined) {
      pipeline = this.#compile(program, constants, windows, kernel, call());
      variants.set(key, pipeline);
    }
    if (pipeline.failure !== undefined) throw pipeline.failure;
    return pipeline;
  }

  #compile(
    program: Program,
    constants: Constants,
    windows: readonly Windows[],
    kernel: string,
    call: string,
  ): Pipeline {
    const made: { pipeline?: Pipeline } = {};
    const name = (error: GPUError, filter: GPUErrorFilter): BackendError => {
      const message = `${call}: the device refuses the program '${program.name}': ${error.message}`;
      const failure = new BackendError(codeOf(filter), message, { kernel });
      if (made.pipeline !== undefined) made.pipeline.failure = failure;
      return failure;
    };
    this.#failures.within(this.#device, name, () => {
      const uniformBytes = Math.ceil((parameterTypes(program).length * 4) / 16) * 16;
      const { layout, id } = this.#layout(program, windows, uniformBytes);
      const pipeline = this.#device.createComputePipeline({
        label: kernel,
        layout: this.#device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: {
          module: this.#device.createShaderModule({ code: wgslOf(program, constants, windows), label: kernel }),
          entryPoint: 'main',
        },
      });
      made.pipeline = { pipeline, layout, layoutId: id, uniformBytes, failure: undefined };
    });
    this.#counting.pipelinesCreated++;
    return made.pipeline!;
  }

  #layout(
    program: Program,
    windows: readonly Windows[],
    uniformBytes: number,
  ): { layout: GPUBindGroupLayout; id: number } {
    const types = Object.values(program.operands).flatMap((type, index) =>
      Array.from({ length: windows[index]!.count }, (): GPUBufferBindingType =>
        isWritten(type) ? 'storage' : 'read-only-storage',
      ),
    );
    const key = `${types.join()} ${uniformBytes}`;
    const known = this.#layouts.get(key);
    if (known !== undefined) return known;
    const entries: GPUBindGroupLayoutEntry[] = types.map((type, binding) => ({
      binding,
      visibility: computeStage,
      buffer: { type },
    }));
    const uniform: GPUBufferBindingLayout = { type: 'uniform', hasDynamicOffset: true, minBindingSize: uniformBytes };
    entries.push({ binding: types.length, visibility: computeStage, buffer: uniform });
    const fresh = { layout: this.#device.createBindGroupLayout({ entries }), id: this.#layouts.size };
    this.#layouts.set(key, fresh);
    return fresh;
  }
}
