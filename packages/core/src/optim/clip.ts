import { CoreError } from '../errors/core-error.ts';
import { div, minimum, mul } from '../ops/binary.ts';
import { concat } from '../ops/concat.ts';
import { reshape } from '../ops/reshape.ts';
import { sum } from '../ops/reduce.ts';
import { offset, scale } from '../ops/scale.ts';
import { sqrt } from '../ops/unary.ts';
import { keep, noGrad, scope } from '../tensor/scope.ts';
import { filled, fromStorage, type Tensor } from '../tensor/tensor.ts';

/** Euclidean norm of all gradients taken as one vector (scalar), in order of the parameters. Computed on the device. */
export function gradientNorm(parameters: Iterable<Tensor>): Tensor {
  return noGrad(() => scope(() => sqrt(sumOfSquares(gradientsOf(parameters)))));
}

export interface Clipping {
  /** The norm of the gradients times `scaleBefore`, before clipping (scalar). */
  readonly norm: Tensor;
  /** What `Optimizer.step` is to multiply gradients by (scalar). */
  readonly gradientScale: Tensor;
}

/**
 * What bounds the common norm of all gradients times `scaleBefore` by `maxNorm` (Pascanu et al. 2013), computed on the device and not
 * read back: scaleBefore * min(1, maxNorm / (norm + 1e-6)), as PyTorch has it. The gradients stay as they are, so that clipping
 * costs no pass over them: give `gradientScale` to the optimizer's `step`.
 * @param scaleBefore e.g. 1 / the number of tokens whose losses were summed up.
 */
export function clippingScale(parameters: Iterable<Tensor>, maxNorm: number, scaleBefore = 1): Clipping {
  if (!(maxNorm > 0)) {
    throw new CoreError('CORE_ARGUMENT', `clipping: maxNorm is ${maxNorm}; a number above 0 is needed`, {
      value: maxNorm,
    });
  }
  return noGrad(() =>
    scope(() => {
      const total = gradientNorm(parameters);
      const norm = scaleBefore === 1 ? total : scale(total, scaleBefore);
      const factor = minimum(div(filled(norm.backend, maxNorm, []), offset(norm, 1e-6)), filled(norm.backend, 1, []));
      return { norm, gradientScale: scaleBefore === 1 ? factor : scale(factor, scaleBefore) };
    }),
  );
}

/**
 * Scales all gradients so that their common norm is at most `maxNorm`, as `clippingScale` says, on the device.
 * @returns the norm before clipping (scalar), not read back.
 */
export function clipGradients(parameters: Iterable<Tensor>, maxNorm: number): Tensor {
  const trained = [...parameters];
  const { norm, gradientScale } = clippingScale(trained, maxNorm);
  multiplyGradients(trained, gradientScale);
  gradientScale.dispose();
  return norm;
}

/** Multiplies all gradients by a number. */
export function scaleGradients(parameters: Iterable<Tensor>, factor: number): void {
  const trained = [...parameters];
  const backend = trained[0]?.backend;
  if (backend === undefined) return;
  const constant = keep(filled(backend, factor, []));
  multiplyGradients(trained, constant);
  constant.dispose();
}

/** A scalar, by the kernel where the backend has it. */
function sumOfSquares(gradients: readonly Tensor[]): Tensor {
  const { backend } = gradients[0]!;
  const { kernels } = backend;
  if (kernels.sumOfSquares !== undefined) {
    const parts = gradients.map(({ storage }) => storage);
    const lengths = gradients.map(({ size }) => size);
    return fromStorage(backend, kernels.sumOfSquares(parts, lengths), [], 'f32');
  }
  const sums = gradients.map((g) => reshape(sum(mul(g, g)), [1]));
  return reshape(sum(concat(sums, 0)), []);
}

function multiplyGradients(parameters: Iterable<Tensor>, factor: Tensor): void {
  noGrad(() =>
    scope(() => {
      for (const parameter of parameters) {
        if (parameter.grad !== undefined) parameter.grad = keep(mul(parameter.grad, factor));
      }
    }),
  );
}

function gradientsOf(parameters: Iterable<Tensor>): Tensor[] {
  const gradients = [...parameters].flatMap(({ grad }) => grad ?? []);
  if (gradients.length === 0) {
    throw new CoreError('CORE_NO_GRADIENT', 'gradientNorm: no parameter has a gradient; run backward first');
  }
  return gradients;
}
