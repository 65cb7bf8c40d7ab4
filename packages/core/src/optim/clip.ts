import { CoreError } from '../errors/core-error.ts';
import { div, minimum, mul } from '../ops/binary.ts';
import { concat } from '../ops/concat.ts';
import { reshape } from '../ops/reshape.ts';
import { sum } from '../ops/reduce.ts';
import { offset, scale } from '../ops/scale.ts';
import { sqrt } from '../ops/unary.ts';
import { keep, noGrad, scope } from '../tensor/scope.ts';
import { tensor, type Tensor } from '../tensor/tensor.ts';

/** Euclidean norm of all gradients taken as one vector (scalar), in order of the parameters. Computed on the device. */
export function gradientNorm(parameters: Iterable<Tensor>): Tensor {
  return noGrad(() =>
    scope(() => {
      const gradients = gradientsOf(parameters);
      return reshape(
        sqrt(
          sum(
            concat(
              gradients.map((g) => reshape(sum(mul(g, g)), [1])),
              0,
            ),
          ),
        ),
        [],
      );
    }),
  );
}

/**
 * Scales all gradients so that their common norm is at most `maxNorm` (Pascanu et al. 2013), on the device:
 * g * min(1, maxNorm / (norm + 1e-6)), as PyTorch has it.
 * @returns the norm before clipping (scalar), not read back.
 */
export function clipGradients(parameters: Iterable<Tensor>, maxNorm: number): Tensor {
  if (!(maxNorm > 0)) {
    throw new CoreError('CORE_ARGUMENT', `clipGradients: maxNorm is ${maxNorm}; a number above 0 is needed`, {
      value: maxNorm,
    });
  }
  const trained = [...parameters];
  const norm = gradientNorm(trained);
  noGrad(() =>
    scope(() => {
      const one = tensor(norm.backend, [1], []);
      const factor = minimum(one, div(scale(one, maxNorm), offset(norm, 1e-6)));
      replaceGradients(trained, (g) => mul(g, factor));
      return undefined;
    }),
  );
  return norm;
}

/** Multiplies all gradients by a number. */
export function scaleGradients(parameters: Iterable<Tensor>, factor: number): void {
  const trained = [...parameters];
  const backend = trained[0]?.backend;
  if (backend === undefined) return;
  noGrad(() =>
    scope(() => {
      const constant = tensor(backend, [factor], []);
      replaceGradients(trained, (g) => mul(g, constant));
      return undefined;
    }),
  );
}

function replaceGradients(parameters: Iterable<Tensor>, change: (gradient: Tensor) => Tensor): void {
  for (const parameter of parameters) {
    if (parameter.grad !== undefined) parameter.grad = keep(change(parameter.grad));
  }
}

function gradientsOf(parameters: Iterable<Tensor>): Tensor[] {
  const gradients = [...parameters].flatMap(({ grad }) => grad ?? []);
  if (gradients.length === 0) {
    throw new CoreError('CORE_NO_GRADIENT', 'gradientNorm: no parameter has a gradient; run backward first');
  }
  return gradients;
}
