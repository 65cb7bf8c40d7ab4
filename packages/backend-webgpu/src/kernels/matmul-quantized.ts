import type { BlockFormat, FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { decoderOf } from '../wgsl/blocks/index.ts';
import { rowFunctions, rowWorkgroup } from '../wgsl/rows.ts';
import { memoized } from './memoized.ts';
import { blockOperands, blockParameters } from './quantized-operand.ts';

/** Columns of y in a tile, and steps of k that are held at a time. */
const tileColumns = 64;
const depth = 16;

/**
 * y = x W^T or x W: 16 x 16 invocations, each with `rowsEach` rows and four columns of a tile of y. Blocks are decoded into the
 * tile of W in workgroup memory; while a tile is multiplied the next one is on its way.
 *
 * `x4`, `y4`: rows of x (of y) are whole vectors of four.
 */
const tiled = memoized(
  (format: BlockFormat, transposed: boolean, rowsEach: number, x4: boolean, y4: boolean, whole: boolean): Program => {
    const decoder = decoderOf(format);
    const tileRows = 16 * rowsEach;
    // A vector more than needed, so that neighbouring rows lie in other banks.
    const stride = depth / 4 + 1;
    const each = Array.from({ length: rowsEach }, (_, i) => i);
    const weightVectors = transposed ? (depth * tileColumns) / 4 : tileColumns * stride;
    return {
      name: 'matmulQuantized',
      operands: {
        x: x4 ? 'read vec4f' : 'read f32',
        ...decoder.operands,
        y: transposed && y4 ? 'write vec4f' : 'write f32',
      },
      parameters: { ...decoder.parameters, m: 'u32', n: 'u32', k: 'u32', columns: 'u32', tilesDown: 'u32' },
      workgroup: 256,
      declarations: /* wgsl */ `${decoder.declarations}
var<workgroup> xs: array<vec4f, ${tileRows * stride}>;
var<workgroup> ws: array<vec4f, ${weightVectors}>;

fn loadX(row: u32, at: u32) -> vec4f {
  if (row >= p.m || at >= p.k) {
    return vec4f();
  }
  ${
    x4
      ? 'return load_x((row * p.k + at) >> 2u);'
      : `var values = vec4f();
  for (var i = 0u; i < min(4u, p.k - at); i++) {
    values[i] = load_x(row * p.k + at + i);
  }
  return values;`
  }
}

fn loadWeights(row: u32, rows: u32, column: u32) -> vec4f {
  if (row >= rows || column >= p.columns) {
    return vec4f();
  }
  let values = decode4(row * p.columns + column);
  ${whole ? 'return values;' : 'return select(vec4f(), values, column + vec4u(0u, 1u, 2u, 3u) < vec4u(p.columns));'}
}`,
      body: /* wgsl */ `${decoder.prepare}
  let row0 = (group % p.tilesDown) * ${tileRows}u;
  let column0 = (group / p.tilesDown) * ${tileColumns}u;
  let tx = local % 16u;
  let ty = local / 16u;
  let loadRow = local / 4u;
  let loadAt = (local % 4u) * 4u;
${each.map((i) => `  var sum${i} = vec4f();`).join('\n')}
  var x = vec4f();
  var w = vec4f();
  // One tile is read while the one before it is multiplied.
  for (var at = 0u; at < p.k + ${depth}u; at += ${depth}u) {
    if (at < p.k) {
      x = loadX(row0 + loadRow, at + loadAt);
      w = ${nextWeights(transposed)};
    }
    if (at > 0u) {
      for (var s = 0u; s < ${depth / 4}u; s++) {
${[0, 1, 2, 3].map((j) => `      let w${j} = ws[${transposed ? `(4u * s + ${j}u) * 16u + tx` : `(tx + ${16 * j}u) * ${stride}u + s`}];`).join('\n')}
${each
  .map((i) => {
    const row = `xs[(ty + ${16 * i}u) * ${stride}u + s]`;
    return transposed
      ? `      let x${i} = ${row};\n      sum${i} += x${i}.x * w0 + x${i}.y * w1 + x${i}.z * w2 + x${i}.w * w3;`
      : `      let x${i} = ${row};\n      sum${i} += vec4f(dot(x${i}, w0), dot(x${i}, w1), dot(x${i}, w2), dot(x${i}, w3));`;
  })
  .join('\n')}
      }
    }
    workgroupBarrier();
    ${rowsEach === 4 ? '' : `if (loadRow < ${tileRows}u) `}{ xs[loadRow * ${stride}u + local % 4u] = x; }
    ws[${transposed ? 'local' : `loadRow * ${stride}u + local % 4u`}] = w;
    workgroupBarrier();
  }
${each.map((i) => store(transposed && y4, transposed ? 'column0 + 4u * tx' : 'column0 + tx', transposed ? 1 : 16, i)).join('\n')}`,
    };
  },
);

/** An invocation's part of the tile of W at step `at`: [columns of y, k] or, transposed, [k, columns of y]. */
function nextWeights(transposed: boolean): string {
  return transposed
    ? 'loadWeights(at + ty, p.k, column0 + 4u * tx)'
    : 'loadWeights(column0 + loadRow, p.n, at + loadAt)';
}

/** Writes `sum<i>`: columns `column`, `column + apart`, ... of its row. */
function store(vector: boolean, column: string, apart: number, i: number): string {
  const row = `row0 + ty + ${16 * i}u`;
  if (vector) {
    return `  if (${row} < p.m && ${column} < p.n) { store_y(((${row}) * p.n + ${column}) >> 2u, sum${i}); }`;
  }
  return [0, 1, 2, 3]
    .map((j) => {
      const at = `${column} + ${apart * j}u`;
      return `  if (${row} < p.m && ${at} < p.n) { store_y((${row}) * p.n + ${at}, sum${i}[${j}]); }`;
    })
    .join('\n');
}

/** One row of x: 32 invocations share a row of W. */
const single = memoized((format: BlockFormat): Program => {
  const decoder = decoderOf(format);
  return {
    name: 'matmulQuantized',
    operands: { x: 'read vec4f', ...decoder.operands, y: 'write f32' },
    parameters: { ...decoder.parameters, n: 'u32', columns: 'u32' },
    workgroup: rowWorkgroup,
    declarations: decoder.declarations + rowFunctions('vec4f'),
    body: /* wgsl */ `${decoder.prepare}
  let row = rowOf(group, local);
  let end = select(0u, p.columns, row < p.n);
  var sum = 0.0;
  for (var k = 4u * laneOf(local); k < end; k += 4u * u32(LANES)) {
    sum += dot(load_x(k >> 2u), decode4(row * p.columns + k));
  }
  let whole = addLanes(local, sum);
  if (row < p.n && laneOf(local) == 0u) {
    store_y(row, whole);
  }`,
  };
});
const lanes = 32;

export const matmulQuantized =
  (device: Device): FusedKernels['matmulQuantized'] =>
  (x, weight, spec) => {
    const { format, m, rows, columns, transposed } = spec;
    const [n, k] = transposed ? [columns, rows] : [rows, columns];
    const y = device.output(m * n);
    const operands = { x, ...blockOperands(device, format, weight), y };
    const decoding = blockParameters(format, rows, columns);
    const whole = columns % 4 === 0;
    if (m === 1 && !transposed && whole) {
      device.run(single(format), {
        operands,
        parameters: { ...decoding, n, columns },
        constants: { LANES: lanes },
        workgroups: Math.ceil((n * lanes) / rowWorkgroup),
      });
      return y;
    }
    const rowsEach = m > 32 ? 4 : m > 16 ? 2 : 1;
    const tilesDown = Math.ceil(m / (16 * rowsEach));
    device.run(tiled(format, transposed, rowsEach, k % 4 === 0, n % 4 === 0, whole), {
      operands,
      parameters: { ...decoding, m, n, k, columns, tilesDown },
      workgroups: tilesDown * Math.ceil(n / tileColumns),
    });
    return y;
  };
