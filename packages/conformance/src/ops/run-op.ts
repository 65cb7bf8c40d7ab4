/** An operation's value and gradients, and what they are judged by. */
import { backward, scope, tensor } from '@lowrank/core';
import type { Backend, Storage, Tensor } from '@lowrank/core';
import { unitRoundoff } from '../backend/bounds.ts';
import { centralDifferences } from '../backend/central-differences.ts';
import { compare, noErrors, worse } from '../backend/compare.ts';
import type { Errors } from '../backend/compare.ts';
import { uniform } from '../backend/inputs.ts';
import { float64 } from '../backend/operands.ts';
import { arithmeticName, type Arithmetic } from '../backend/product-operands.ts';
import { roundingBackend } from '../rounding/rounding-backend.ts';
import type { OpCase, OpInput } from './cases.ts';

/** The value, then the gradient toward each trained input. */
interface Result {
  readonly output: string;
  readonly values: Float64Array;
  readonly error: Float64Array;
}

function isTrained({ values, constant }: OpInput): boolean {
  return values instanceof Float32Array && constant !== true;
}

/** `error` tells how far a storage's numbers may be off. */
async function evaluate(
  backend: Backend,
  row: OpCase,
  error: (storage: Storage) => Float64Array = ({ length }) => new Float64Array(length),
): Promise<Result[]> {
  const results = scope((): [string, Tensor][] => {
    const inputs = row.inputs.map((input) => {
      const operand = tensor(backend, input.values, input.shape);
      operand.requiresGrad = isTrained(input);
      return operand;
    });
    const y = row.body(inputs);
    backward(y, tensor(backend, weightsFor(row, y.size), y.shape));
    const gradients = inputs.flatMap((input, i): [string, Tensor][] =>
      isTrained(row.inputs[i]!) ? [[`gradient toward input ${i}`, input.grad!.detach()]] : [],
    );
    return [['value', y.detach()], ...gradients];
  });
  const read: Result[] = [];
  for (const [output, result] of results) {
    read.push({ output, values: float64(await result.data()), error: error(result.storage) });
    result.dispose();
  }
  return read;
}

/** The gradient toward the operation's result. */
function weightsFor(row: OpCase, length: number): Float32Array {
  return uniform(`op weights ${row.name}`, length);
}

/**
 * Value and gradients in float64, and the bound that running error analysis of the composed operation derives (or the case
 * has). A fused kernel is held to it as well: it must be no less exact than what it replaces.
 */
async function expectedOf(row: OpCase, arithmetic: Arithmetic): Promise<readonly Result[]> {
  const ofRow = expectations.get(row) ?? new Map<string, Result[]>();
  expectations.set(row, ofRow);
  const name = arithmeticName(arithmetic);
  const known = ofRow.get(name) ?? (await analyse(row, arithmetic));
  ofRow.set(name, known);
  return known;
}

/** The same for every backend of an arithmetic, so computed once. */
const expectations = new WeakMap<OpCase, Map<string, Result[]>>();

async function analyse(row: OpCase, { precision, productOperands }: Arithmetic): Promise<Result[]> {
  const rounding = roundingBackend(unitRoundoff(precision), productOperands);
  const results = await evaluate(rounding, row, (storage) => rounding.errorOf(storage));
  const { values } = results[0]!;
  const bound = row.bound?.(unitRoundoff(precision), values, weightsFor(row, values.length), productOperands);
  // Float64 itself rounds, too.
  const own = 1 + unitRoundoff('f64') / unitRoundoff(precision);
  return results.map((result, i) => ({ ...result, error: (bound?.[i] ?? result.error).map((off) => off * own) }));
}

/** Throws `CONFORMANCE_MISMATCH` where value or gradients are off by more than their bound. */
export async function judgeOp(backend: Backend, row: OpCase): Promise<Errors> {
  const { precision } = backend.supports;
  const expected = await expectedOf(row, backend.supports);
  const got = await evaluate(backend, row);
  return expected
    .map(({ output, values, error }, i) => {
      const subject = { kernel: 'operation', case: row.name, output };
      return compare(subject, got[i]!.values, values, error, precision);
    })
    .reduce(worse, noErrors);
}

/** Gradients of a float64 backend against central differences of its own values. */
export async function differentiateOp(backend: Backend, row: OpCase): Promise<Errors> {
  const bounds = (await expectedOf(row, { precision: 'f64' })).slice(1);
  const gradients = (await evaluate(backend, row)).slice(1);
  const values = row.inputs.map((input) => float64(input.values));
  const loss = async (changed: readonly Float64Array[]): Promise<number> => {
    const y = scope(() => row.body(row.inputs.map((input, i) => rebuild(backend, input, changed[i]!))));
    const numbers = float64(await y.data());
    y.dispose();
    const weights = weightsFor(row, numbers.length);
    return numbers.reduce((sum, value, i) => sum + value * weights[i]!, 0);
  };
  let errors = noErrors;
  let next = 0;
  for (const [i, input] of row.inputs.entries()) {
    if (!isTrained(input)) continue;
    const { output, values: got } = gradients[next]!;
    const bound = bounds[next++]!.error;
    const numeric = await centralDifferences(values, i, loss);
    const tolerance = numeric.error.map((error, e) => error + bound[e]!);
    const subject = { kernel: 'operation', case: row.name, output };
    errors = worse(errors, compare(subject, got, numeric.gradient, tolerance, 'f64'));
  }
  return errors;
}

function rebuild(backend: Backend, input: OpInput, values: Float64Array): Tensor {
  return tensor(backend, input.values instanceof Int32Array ? input.values : values, input.shape);
}
