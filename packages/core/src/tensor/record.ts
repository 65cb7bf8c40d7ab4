import type { DType, Storage } from '../backend/backend.ts';
import type { Shape } from '../backend/kernels.ts';
import { GraphNode, type Edge, type GradientFunction } from './graph.ts';
import { isRecording, keep } from './scope.ts';
import { SharedStorage } from './shared-storage.ts';
import { commonBackend, Tensor } from './tensor.ts';

/** How an operation's gradient is found. */
export interface GradientRule {
  /** Operands and results that the gradient reads; held until backward has run. */
  readonly saved?: readonly Tensor[];
  readonly gradient: GradientFunction;
}

/** A handle that lives outside scopes, for a graph node to hold. */
function hold(tensor: Tensor): Tensor {
  return keep(tensor.detach());
}

function edgeOf(tensor: Tensor): Edge {
  return tensor.node ?? (tensor.requiresGrad ? tensor : undefined);
}

/** Whether an operation on `inputs` is to be recorded. */
export function needsRecord(inputs: readonly Tensor[]): boolean {
  return isRecording() && inputs.some((input) => input.requiresGrad);
}

/** The node for an operation on `inputs`, if a gradient can flow through it. */
export function recordNode(op: string, inputs: readonly Tensor[], rule: () => GradientRule): GraphNode | undefined {
  if (!needsRecord(inputs)) return undefined;
  const { saved = [], gradient } = rule();
  return new GraphNode(op, inputs.map(edgeOf), saved.map(hold), gradient);
}

/**
 * The result of an operation: a tensor over `storage`, recorded when a gradient can flow. `rule` is called only then,
 * with a handle on the result that it may save.
 */
export function result(
  op: string,
  inputs: readonly Tensor[],
  storage: Storage,
  shape: Shape,
  rule?: (output: Tensor) => GradientRule,
): Tensor {
  const backend = commonBackend(op, inputs);
  const dtype: DType = storage.dtype === 'i32' ? 'i32' : 'f32';
  const shared = new SharedStorage(backend, storage);
  if (rule === undefined || !needsRecord(inputs)) return new Tensor(shared, shape, dtype);
  const output = keep(new Tensor(shared.hold(), shape, dtype));
  const node = recordNode(op, inputs, () => rule(output));
  output.dispose();
  return new Tensor(shared, shape, dtype, node);
}
