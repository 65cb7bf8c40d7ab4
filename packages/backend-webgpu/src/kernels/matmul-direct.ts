import type { ElementType, Program } from '../device/program.ts';
import { put, putFour } from '../wgsl/put.ts';
import { memoized } from './memoized.ts';

const parameters = { m: 'u32', n: 'u32', k: 'u32', results: 'u32', strideA: 'u32', strideB: 'u32' } as const;

/**
 * Short sums and small matrices, which do not repay workgroup memory: an invocation for `rows` x 4 results, straight from where the
 * operands lie. `vectorB`: b lies along n in whole vectors. `adds`: to what is in c.
 */
export const directProgram: (
  rows: 1 | 4,
  transposeA: boolean,
  transposeB: boolean,
  vectorB: boolean,
  adds: boolean,
) => Program = memoized((rows, transposeA, transposeB, vectorB, adds) => {
  const each = Array.from({ length: rows }, (_, row) => row);
  const element: ElementType = vectorB ? 'vec4f' : 'f32';
  return {
    name: 'matmul, direct',
    operands: { a: 'read f32', b: `read ${element}`, c: 'write f32' },
    parameters,
    workgroup: 64,
    declarations: /* wgsl */ `
fn elementOfA(start: u32, row: u32, k: u32) -> f32 {
  return load_a(start + ${transposeA ? 'k * p.m + min(row, p.m - 1u)' : 'min(row, p.m - 1u) * p.k + k'});
}
fn fourOfB(start: u32, k: u32, column: u32) -> vec4f {
  ${vectorB ? 'return load_b((start + k * p.n + column) / 4u);' : fourElements(transposeB)}
}
fn storeRow(matrix: u32, row: u32, column: u32, value: vec4f) {
  if (row >= p.m) { return; }
  let i = (matrix * p.m + row) * p.n + column;
  ${putFour(adds, 'c')}
}`,
    body: /* wgsl */ `
  let i = group * 64u + local;
  if (i >= p.results) { return; }
  let across = (p.n + 3u) / 4u;
  let down = (p.m + ${rows - 1}u) / ${rows}u;
  let column = i % across * 4u;
  let row = i / across % down * ${rows}u;
  let matrix = i / (across * down);
  ${each.map((at) => `var c${at} = vec4f();`).join('\n  ')}
  for (var k = 0u; k < p.k; k++) {
    let b = fourOfB(matrix * p.strideB, k, column);
    ${each.map((at) => `c${at} += elementOfA(matrix * p.strideA, row + ${at}u, k) * b;`).join('\n    ')}
  }
  ${each.map((at) => `storeRow(matrix, row + ${at}u, column, c${at});`).join('\n  ')}`,
  };
});

/** Columns beyond the last repeat it; their results are not stored. */
function fourElements(transposeB: boolean): string {
  const at = (offset: number): string => {
    const column = `min(column + ${offset}u, p.n - 1u)`;
    return `load_b(start + ${transposeB ? `${column} * p.k + k` : `k * p.n + ${column}`})`;
  };
  return `return vec4f(${[0, 1, 2, 3].map(at).join(', ')});`;
}

/**
 * Few rows of a with b transposed, as when a token is generated: 32 lanes share a result, and read b along the axis that lies in
 * memory. Their sums are added in the order of a tree.
 */
export const dotProgram: (vector: boolean, transposeA: boolean, adds: boolean) => Program = memoized(
  (vector, transposeA, adds) => {
    const element: ElementType = vector ? 'vec4f' : 'f32';
    const step = vector ? 4 : 1;
    // A transposed row of a is no vector in memory, and short.
    const elementOfA = transposeA ? 'load_a(startA + k * p.m + row)' : 'load_a(startA + row * p.k + k)';
    const vectorOfA = `load_a((startA + row * p.k + k) / 4u)`;
    return {
      name: 'matmul, dot products',
      operands: { a: `read ${element}`, b: `read ${element}`, c: 'write f32' },
      parameters,
      workgroup: 64,
      declarations: 'var<workgroup> sums: array<f32, 64>;',
      body: /* wgsl */ `
  let result = group * 2u + local / 32u;
  let lane = local % 32u;
  var sum = 0.0;
  if (result < p.results) {
    let column = result % p.n;
    let row = result / p.n % p.m;
    let matrix = result / (p.n * p.m);
    let startA = matrix * p.strideA;
    let startB = matrix * p.strideB + column * p.k;
    for (var k = lane * ${step}u; k < p.k; k += ${32 * step}u) {
      ${vector ? `sum += dot(${vectorOfA}, load_b((startB + k) / 4u));` : `sum += ${elementOfA} * load_b(startB + k);`}
    }
  }
  sums[local] = sum;
  workgroupBarrier();
  for (var half = 16u; half > 0u; half /= 2u) {
    if (lane < half) { sums[local] += sums[local + half]; }
    workgroupBarrier();
  }
  if (lane == 0u && result < p.results) { ${put(adds, 'c', 'result', 'sums[local]')}; }`,
    };
  },
);
