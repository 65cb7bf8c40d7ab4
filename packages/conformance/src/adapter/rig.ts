import { backward, keep, scope, tensor, wrapLayer } from '@lowrank/core';
import type {
  AdapterSlot,
  Backend,
  ConfiguredAdapter,
  Embedding,
  ForwardPass,
  HostState,
  InjectedAdapter,
  Linear,
  Tensor,
  TypedArray,
} from '@lowrank/core';
import { uniform } from '../backend/inputs.ts';
import { buildLayer, inputOf, type TestLayer } from './test-layers.ts';

/** What is tried: a configured adapter on a layer on a backend. */
export interface Trial {
  readonly configured: ConfiguredAdapter;
  readonly row: TestLayer;
  readonly backend: Backend;
  /** Told of each comparison: its largest error over its bound. */
  readonly note?: (overBound: number) => void;
}

/** A training pass as the trainer makes them. */
export const trainingPass: ForwardPass = { training: true, seed: 11, step: 3 };

/** The seed that initial weights come from. */
export const seed = 7;

export interface RigOptions {
  readonly name?: string;
  readonly seed?: number;
  /** Loaded in place of the initial weights. */
  readonly states?: ReadonlyMap<string, HostState>;
}

/** A layer with an adapter on it. */
export class Rig {
  readonly trial: Trial;
  readonly layer: Linear | Embedding;
  readonly adapter: InjectedAdapter;

  constructor(trial: Trial, layer: Linear | Embedding, adapter: InjectedAdapter) {
    this.trial = trial;
    this.layer = layer;
    this.adapter = adapter;
  }

  get backend(): Backend {
    return this.trial.backend;
  }

  get slot(): AdapterSlot {
    return this.adapter.slots[0]!;
  }

  /** The layer's output for the test input, read. */
  output(leading: readonly number[], pass?: ForwardPass): Promise<TypedArray> {
    return outputOf(this.layer, this.trial, leading, pass);
  }

  /** Frees everything. */
  dispose(): void {
    this.adapter.eject();
    this.layer.dispose();
  }
}

/** The bare layer's output for the test input, read. */
export async function baseOutput(trial: Trial, leading: readonly number[]): Promise<TypedArray> {
  const layer = buildLayer(trial.backend, trial.row);
  const values = await outputOf(layer, trial, leading);
  layer.dispose();
  return values;
}

/** The layer's output for the test input, read. */
export async function outputOf(
  layer: Linear | Embedding,
  { backend, row }: Trial,
  leading: readonly number[],
  pass?: ForwardPass,
): Promise<TypedArray> {
  const x = inputOf(backend, row, leading);
  const y = scope(() => layer.forward(x, pass));
  const values = await y.data();
  x.dispose();
  y.dispose();
  return values;
}

export async function makeRig(trial: Trial, options: RigOptions = {}): Promise<Rig> {
  const layer = buildLayer(trial.backend, trial.row);
  try {
    const adapter = await wrapLayer(layer, trial.configured, {
      name: options.name ?? 'conformance',
      seed: options.seed ?? seed,
    });
    if (options.states !== undefined) adapter.load(options.states);
    return new Rig(trial, layer, adapter);
  } catch (error) {
    layer.dispose();
    throw error;
  }
}

/** Runs `body` with a rig and frees it afterwards, whatever happens. */
export async function withRig<T>(trial: Trial, options: RigOptions, body: (rig: Rig) => Promise<T>): Promise<T> {
  const rig = await makeRig(trial, options);
  try {
    return await body(rig);
  } finally {
    rig.dispose();
  }
}

/** Output and gradients of one step: `y`, `x` (numbers only) and every parameter by its name. */
export type Step = ReadonlyMap<string, Tensor>;

export interface StepOptions {
  readonly leading?: readonly number[];
  readonly pass?: ForwardPass;
  /** Whether the input wants a gradient, as all but a model's first layer do. Default true. */
  readonly inputGradient?: boolean;
  /** How the layer is run. Default: its forward. */
  readonly forward?: (x: Tensor) => Tensor;
}

/** Forward and backward from a fixed gradient toward the output. Read it, then `disposeStep`. */
export function step(rig: Rig, options: StepOptions = {}): Step {
  const {
    leading = [5],
    pass = trainingPass,
    inputGradient = true,
    forward = (x) => rig.layer.forward(x, pass),
  } = options;
  const { row } = rig.trial;
  const x = inputOf(rig.backend, row, leading);
  if (row.kind === 'linear') x.requiresGrad = inputGradient;
  const y = scope(() => forward(x));
  const dy = tensor(rig.backend, outputGradient(row, y.size), y.shape);
  backward(y, dy);
  dy.dispose();
  const found = new Map<string, Tensor>([['y', keep(y.detach())]]);
  y.dispose();
  if (x.grad !== undefined) found.set('gradient toward x', keep(x.grad.detach()));
  x.dispose();
  for (const [name, param] of Object.entries(rig.slot.state.params)) {
    if (param.grad !== undefined) found.set(`gradient toward ${name}`, keep(param.grad.detach()));
    param.grad = undefined;
  }
  return found;
}

/** The gradient toward the output that every step starts from. */
export function outputGradient(row: TestLayer, length: number): Float32Array {
  return uniform(`${row.name}/dy`, length);
}

export function disposeStep(found: Step): void {
  for (const value of found.values()) value.dispose();
}

/** A step's numbers, read and freed. */
export async function readStep(found: Step): Promise<Map<string, TypedArray>> {
  const values = new Map<string, TypedArray>();
  for (const [name, value] of found) values.set(name, await value.data());
  disposeStep(found);
  return values;
}
