import { BackendError } from '@lowrank/core';
import type { PooledBuffer } from '../memory/storage.ts';
import type { Counting } from './counters.ts';
import { codeOf, type Failures } from './failures.ts';
import { bufferUsage } from './usage.ts';

/** Dispatches of one submit: enough to hide its cost, and few enough that the device starts while more are encoded. */
const dispatchesOfBatch = 256;

/**
 * Collects dispatches and copies in one command encoder, and their parameters in one uniform buffer, until something is to be
 * read or the batch is full. Submits and `queue.writeBuffer` run in the order they are made, so the one uniform buffer
 * serves every batch: it is written after the submit before, and read by the one that follows.
 */
export class Commands {
  /** The number of the batch that is being collected. */
  batch = 1;
  /** Called after each submit, when no commands are being collected. */
  afterSubmit: () => void = () => undefined;
  readonly uniforms: GPUBuffer;
  readonly #device: GPUDevice;
  readonly #failures: Failures;
  readonly #counting: Counting;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #alignment: number;
  #usedWords = 0;
  #dispatches = 0;
  #kernels = new Set<string>();
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;

  constructor(device: GPUDevice, failures: Failures, counting: Counting) {
    this.#device = device;
    this.#failures = failures;
    this.#counting = counting;
    this.#alignment = device.limits.minUniformBufferOffsetAlignment / 4;
    this.#words = new Uint32Array(dispatchesOfBatch * this.#alignment);
    this.uniforms = device.createBuffer({
      size: this.#words.byteLength,
      usage: bufferUsage.uniform | bufferUsage.copyTarget,
      label: 'parameters',
    });
  }

  /** `words`: the program's parameters; the bind group's one dynamic offset points at them. */
  dispatch(
    kernel: string,
    pipeline: GPUComputePipeline,
    bindGroup: GPUBindGroup,
    buffers: readonly PooledBuffer[],
    words: Uint32Array,
    workgroups: number,
  ): void {
    const slot = Math.ceil(words.length / this.#alignment) * this.#alignment;
    if (this.#usedWords + slot > this.#words.length || this.#dispatches === dispatchesOfBatch) this.flush();
    this.#words.set(words, this.#usedWords);
    const pass = (this.#pass ??= this.#encode().beginComputePass());
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup, [this.#usedWords * 4]);
    pass.dispatchWorkgroups(...this.#grid(workgroups));
    for (const pooled of buffers) pooled.batch = this.batch;
    this.#usedWords += slot;
    this.#dispatches++;
    this.#kernels.add(kernel);
    this.#counting.dispatched(kernel);
  }

  copy(source: GPUBuffer, target: GPUBuffer, bytes: number): void {
    if (bytes === 0) return;
    this.#pass?.end();
    this.#pass = undefined;
    this.#encode().copyBufferToBuffer(source, 0, target, 0, Math.ceil(bytes / 4) * 4);
    this.#counting.copies++;
  }

  /** Writes before all that is still being collected: only into what this batch does not use. */
  write(target: GPUBuffer, bytes: Uint8Array<ArrayBuffer>): void {
    const whole = bytes.length - (bytes.length % 4);
    if (whole > 0) this.#device.queue.writeBuffer(target, 0, bytes, 0, whole);
    if (whole < bytes.length) {
      const rest = new Uint8Array(4);
      rest.set(bytes.subarray(whole));
      this.#device.queue.writeBuffer(target, whole, rest);
    }
    this.#counting.uploadedBytes += bytes.length;
  }

  /** Submits what has been collected. */
  flush(): void {
    const encoder = this.#encoder;
    if (encoder !== undefined) {
      const kernels = [...this.#kernels];
      const name = (error: GPUError, filter: GPUErrorFilter): BackendError => {
        const kernel = kernels.find((candidate) => error.message.includes(`"${candidate}"`));
        const among = kernel ?? `a submit of ${kernels.join(', ') || 'copies'}`;
        return new BackendError(codeOf(filter), `${among}: ${error.message}`, kernel === undefined ? {} : { kernel });
      };
      this.#failures.within(this.#device, name, () => {
        this.#pass?.end();
        if (this.#usedWords > 0) this.#device.queue.writeBuffer(this.uniforms, 0, this.#words, 0, this.#usedWords);
        this.#device.queue.submit([encoder.finish()]);
      });
      this.#pass = undefined;
      this.#encoder = undefined;
      this.#usedWords = 0;
      this.#dispatches = 0;
      this.#kernels = new Set();
      this.batch++;
      this.#counting.submits++;
    }
    this.afterSubmit();
  }

  #encode(): GPUCommandEncoder {
    return (this.#encoder ??= this.#device.createCommandEncoder());
  }

  /** One dimension, folded where it is longer than the device takes. */
  #grid(workgroups: number): [x: number, y: number] {
    const most = this.#device.limits.maxComputeWorkgroupsPerDimension;
    if (workgroups <= most) return [workgroups, 1];
    const rows = Math.ceil(workgroups / most);
    return [Math.ceil(workgroups / rows), rows];
  }
}
