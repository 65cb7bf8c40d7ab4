import { BACKEND_INTERFACE_VERSION } from '@lowrank/core';
import type { Backend, FusedKernels, MatmulSpec, Primitives, Storage } from '@lowrank/core';
import * as bounds from '../backend/bounds.ts';
import { operandError, type ProductOperands } from '../backend/product-operands.ts';
import * as elementwise from '../reference/elementwise.ts';
import { refuse } from '../reference/heap.ts';
import { gather, scatterAdd } from '../reference/indexing.ts';
import { concat, permute, slice, writeSlice } from '../reference/layout.ts';
import { matmul } from '../reference/matmul.ts';
import { reduce } from '../reference/reduce.ts';
import { binaryShift, exactOps, unaryShift } from './propagation.ts';
import { tracked, TrackedStorage } from './tracked-storage.ts';

/** A backend that computes in float64 and knows for each number how far another backend may be from it. */
export interface RoundingBackend extends Backend {
  /** A bound on |another backend's number - this one's|, for each element. */
  errorOf(storage: Storage): Float64Array;
  /** Says that the values came rounded: each may be `relative` of itself away from what it stands for. */
  loosen(storage: Storage, relative: number): void;
}

/**
 * Running error analysis (Wilkinson 1960; Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., section 3.3):
 * every kernel gives its float64 value and a bound, made of how far the operands' errors move the result (`propagation.ts`) and
 * of the kernel's own rounding in arithmetic of unit roundoff `unit` (`bounds.ts`, which says why, in any order of
 * summation), products with operands that are first rounded to `operands` where that is given (`product-operands.ts`). So whatever is composed of core's operations has a derived bound without a derivation by hand.
 *
 * It has primitives, and products that accumulate: their sums go on from the target, so that this is rounded as often as they have
 * terms. Other fused kernels are judged one by one elsewhere, and are no less exact than what they replace.
 */
export function roundingBackend(unit: number, operands?: ProductOperands): RoundingBackend {
  let [liveBytes, liveStorages] = [0, 0];
  const own = (value: Float64Array | Int32Array, error?: Float64Array): Storage => {
    liveBytes += value.byteLength;
    liveStorages++;
    return new TrackedStorage(value, error);
  };
  return {
    name: 'rounding',
    interfaceVersion: BACKEND_INTERFACE_VERSION,
    supports: {
      precision: 'f64',
      blockFormats: [],
      fusedMultiplyAdd: false,
      deterministic: true,
      nonFinite: true,
      maxStorageBytes: 2 ** 32,
    },
    kernels: primitives(unit, operands, own),
    upload(data, dtype) {
      if (dtype === 'i32') return own(Int32Array.from(data));
      const value = Float64Array.from(data);
      // What is not a float32 is rounded on its way to one.
      return own(value, data instanceof Float32Array ? undefined : bounds.rounded(value, unit));
    },
    read: (storage) => Promise.resolve(tracked(storage).value.slice()),
    sync: () => Promise.resolve(),
    free(storage) {
      tracked(storage).freed = true;
      liveBytes -= storage.byteLength;
      liveStorages--;
    },
    memory: () => ({ liveBytes, peakBytes: liveBytes, liveStorages, reservedBytes: liveBytes }),
    resetPeak: () => undefined,
    dispose: () => Promise.resolve(),
    errorOf: (storage) => tracked(storage).error.slice(),
    loosen(storage, relative) {
      const { value, error } = tracked(storage);
      for (let i = 0; i < error.length; i++) error[i]! += relative * Math.abs(value[i]!);
    },
  };
}

/** The parts of a bound, added. */
function sum(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((value, i) => value + b[i]!);
}

function primitives(
  unit: number,
  operands: ProductOperands | undefined,
  own: (value: Float64Array | Int32Array, error?: Float64Array) => Storage,
): Primitives & Pick<FusedKernels, 'matmulAccumulate'> {
  /** Applies what only moves numbers to the errors as well. */
  const moved = (
    storage: Storage,
    move: (numbers: Float64Array | Int32Array) => Float64Array | Int32Array,
  ): Storage => {
    const x = tracked(storage);
    const value = move(x.value);
    return own(value, value instanceof Int32Array ? undefined : (move(x.error) as Float64Array));
  };
  /** An operand as a product takes it. Where it is a block-quantized weight, the backend rounds it when it is decoded. */
  const factor = (x: TrackedStorage): TrackedStorage =>
    operands === undefined
      ? x
      : new TrackedStorage(
          x.value,
          x.error.map((error, i) => operandError(operands, x.f32[i]!, error + Math.abs(x.f32[i]!) * unit)),
        );
  /** How far a product is moved by its operands' errors: (|A| + errors)(|B| + errors) - |A||B|, term by term so that nothing cancels. */
  const shiftOf = (a: TrackedStorage, b: TrackedStorage, spec: MatmulSpec): Float64Array =>
    sum(matmul(a.error, b.magnitude, spec), matmul(a.value.map(Math.abs) as Float64Array, b.error, spec));
  return {
    unary(op, storage) {
      const x = tracked(storage);
      const y = elementwise.unary(op, x.f32);
      const shift = x.error.map((error, i) => unaryShift[op](x.f32[i]!, error, y[i]!));
      return own(y, exactOps.has(op) ? shift : sum(shift, bounds.unary(op, x.f32, y, unit)));
    },

    binary(op, left, aShape, right, bShape) {
      const [a, b] = [tracked(left), tracked(right)];
      const y = elementwise.binary(op, a.f32, aShape, b.f32, bShape);
      const shape = elementwise.commonShape(aShape, bShape)!;
      const [fromA, fromB] = [elementwise.broadcastIndex(aShape, shape), elementwise.broadcastIndex(bShape, shape)];
      const shift = y.map((_, i) => {
        const [p, q] = [fromA(i), fromB(i)];
        return binaryShift[op](a.f32[p]!, a.error[p]!, b.f32[q]!, b.error[q]!);
      });
      return own(y, exactOps.has(op) ? shift : sum(shift, bounds.binary(op, y, unit)));
    },

    where(condition, conditionShape, a, aShape, b, bShape, shape) {
      const [c, p, q] = [tracked(condition), tracked(a), tracked(b)];
      const value = elementwise.where(c.f32, conditionShape, p.f32, aShape, q.f32, bShape, shape);
      const error = elementwise.where(c.f32, conditionShape, p.error, aShape, q.error, bShape, shape);
      if (c.error.some((off) => off > 0)) {
        throw refuse('where', 'the condition is not exact, so nothing is known of the result', undefined);
      }
      return own(value, error);
    },

    fill: (value, length, dtype) =>
      dtype === 'i32'
        ? own(new Int32Array(length).fill(value))
        : own(
            new Float64Array(length).fill(value),
            new Float64Array(length).fill(value === Math.fround(value) ? 0 : Math.abs(value) * unit),
          ),

    reduce(op, storage, outer, axis, inner) {
      const x = tracked(storage);
      const y = reduce(op, x.f32, outer, axis, inner);
      // A maximum is off by no more than its operands; of none it is exact.
      if (op !== 'sum') {
        return own(
          y,
          reduce('max', x.error, outer, axis, inner).map((off) => Math.max(0, off)),
        );
      }
      const shift = reduce('sum', x.error, outer, axis, inner);
      return own(y, sum(shift, bounds.reduction('sum', x.magnitude, outer, axis, inner, unit)));
    },

    matmul(left, right, spec) {
      const [a, b] = [factor(tracked(left)), factor(tracked(right))];
      // One rounding more than there are: that of a block-quantized weight when it is decoded.
      const rounding = bounds.product(a.magnitude, b.magnitude, spec, unit, undefined, spec.k + 1);
      return own(matmul(a.f32, b.f32, spec), sum(shiftOf(a, b, spec), rounding));
    },

    matmulAccumulate(storage, left, right, spec) {
      const [target, a, b] = [tracked(storage), factor(tracked(left)), factor(tracked(right))];
      const rounding = bounds.accumulated(
        target.magnitude,
        a.magnitude,
        b.magnitude,
        spec,
        unit,
        undefined,
        spec.k + 2,
      );
      const error = sum(shiftOf(a, b, spec), rounding);
      elementwise.accumulate(target.f32, matmul(a.f32, b.f32, spec));
      for (let i = 0; i < target.length; i++) target.error[i]! += error[i]!;
    },

    permute: (x, shape, axes) => moved(x, (numbers) => permute(numbers, shape, axes)),

    gather(table, _rows, columns, indices) {
      return moved(table, (numbers) => gather(numbers as Float64Array, columns, tracked(indices).i32));
    },

    scatterAdd(storage, indices, _count, rows, columns) {
      const [source, at] = [tracked(storage), tracked(indices).i32];
      const shift = scatterAdd(source.error, at, rows, columns);
      return own(
        scatterAdd(source.f32, at, rows, columns),
        sum(shift, bounds.scatter(source.magnitude, at, rows, columns, unit)),
      );
    },

    slice: (x, shape, start, size) => moved(x, (numbers) => slice(numbers, shape, start, size)),

    writeSlice(storage, shape, part, start, size) {
      const [target, source] = [tracked(storage), tracked(part)];
      writeSlice(target.value, shape, source.value, start, size);
      writeSlice(target.error, shape, source.error, start, size);
    },

    concat(storages, outer, axes, inner) {
      const parts = storages.map(tracked);
      const value = concat(
        parts.map((part) => part.value),
        outer,
        axes,
        inner,
      );
      return own(
        value,
        concat(
          parts.map((part) => part.error),
          outer,
          axes,
          inner,
        ) as Float64Array,
      );
    },

    cast(storage, _length, to) {
      const x = tracked(storage);
      if (to === 'i32') {
        if (x.error.some((off) => off > 0)) {
          throw refuse('cast', 'the operand is not exact, so its whole part is not known', undefined);
        }
        return own(elementwise.toInt32(Float64Array.from(x.value)));
      }
      const value = Float64Array.from(x.value);
      return own(value, bounds.rounded(value, unit));
    },

    accumulate(storage, part) {
      const [target, source] = [tracked(storage), tracked(part)];
      elementwise.accumulate(target.f32, source.f32);
      for (let i = 0; i < target.length; i++) {
        target.error[i]! += source.error[i]! + Math.abs(target.f32[i]!) * unit * 1.01;
      }
    },
  };
}
