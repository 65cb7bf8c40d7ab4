import type { BlockFormat, FusedKernels, QuantizedMatmulSpec, Storage } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import { decoderOf } from '../wgsl/blocks/index.ts';
import { panelOf, type PanelType } from '../wgsl/panels.ts';
import { put } from '../wgsl/put.ts';
import { rowFunctions, rowWorkgroup } from '../wgsl/rows.ts';
import { memoized } from './memoized.ts';
import { blockOperands, blockParameters } from './quantized-operand.ts';

/** Columns of y in a tile, and steps of k that are held at a time. */
const tileColumns = 64;
const depth = 32;
/** 16 by 4 invocations. */
const workgroup = 64;

/**
 * y = x W^T or x W: a workgroup has a tile of y of 4 `rowsEach` rows, an invocation `rowsEach` rows and four columns of it.
 * Blocks are decoded into the tile of W in workgroup memory, 16 weights at a time, so that scales are unpacked once for those. Both
 * tiles hold f32, or f16 where the user asked for it.
 *
 * `x4`, `y4`: rows of x (of y) are whole vectors of four; `whole`: rows of W are whole groups of 16. `adds`: to what is in y.
 */
const tiled = memoized(
  (
    format: BlockFormat,
    transposed: boolean,
    rowsEach: number,
    x4: boolean,
    y4: boolean,
    whole: boolean,
    adds: boolean,
    panels: PanelType,
  ): Program => {
    const decoder = decoderOf(format);
    const panel = panelOf(panels);
    const tileRows = 4 * rowsEach;
    const each = Array.from({ length: rowsEach }, (_, i) => i);
    // The tile of W is [columns, k] or, transposed, [k, columns], in vectors of four.
    const place = transposed ? 'row * 16u + vector' : 'row * 8u + (vector ^ (row & 7u))';
    const groupsOfRow = (transposed ? tileColumns : depth) / 16;
    return {
      ...panel.extensions,
      name: 'matmulQuantized',
      operands: {
        x: x4 ? 'read vec4f' : 'read f32',
        ...decoder.operands,
        y: transposed && y4 ? 'write vec4f' : 'write f32',
      },
      parameters: { ...decoder.parameters, m: 'u32', n: 'u32', k: 'u32', columns: 'u32', tilesDown: 'u32' },
      workgroup,
      declarations: /* wgsl */ `${decoder.declarations}${panel.declarations}
var<workgroup> xs: array<${panel.element}, ${(tileRows * depth) / 4}>;
var<workgroup> ws: array<${panel.element}, ${(tileColumns * depth) / 4}>;

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

// Vectors of a row lie so that neighbouring invocations read other banks.
fn placeOf(row: u32, vector: u32) -> u32 {
  return ${place};
}

// 16 weights from \`column\` on in a row of W, to row \`to\` of the tile; 0 beyond the matrix.
fn loadWeights(row: u32, column: u32, to: u32, vector: u32) {
  let inside = row < ${transposed ? 'p.k' : 'p.n'} && column < p.columns;
  let first = row * p.columns + column;
  ${whole ? 'var scale = vec2f();\n  if (inside) { scale = scaleOf(first); }' : ''}
  for (var i = 0u; i < 4u; i++) {
    var values = vec4f();
    ${
      whole
        ? 'if (inside) { values = scale.x * quantsOf(first + 4u * i) + scale.y; }'
        : `if (inside && column + 4u * i < p.columns) {
      let beyond = column + 4u * i + vec4u(0u, 1u, 2u, 3u) >= vec4u(p.columns);
      values = select(decode4(first + 4u * i), vec4f(), beyond);
    }`
    }
    ws[placeOf(to, vector + i)] = ${panel.store('values')};
  }
}`,
      body: /* wgsl */ `${decoder.prepare}
  let row0 = (group % p.tilesDown) * ${tileRows}u;
  let column0 = (group / p.tilesDown) * ${tileColumns}u;
  let tx = local % 16u;
  let ty = local / 16u;
${each.map((i) => `  var sum${i} = vec4f();`).join('\n')}
  for (var at = 0u; at < p.k; at += ${depth}u) {
    for (var i = local; i < ${(tileRows * depth) / 4}u; i += ${workgroup}u) {
      xs[i] = ${panel.store(`loadX(row0 + i / ${depth / 4}u, at + i % ${depth / 4}u * 4u)`)};
    }
    for (var i = local; i < ${(tileColumns * depth) / 16}u; i += ${workgroup}u) {
      let row = i / ${groupsOfRow}u;
      let column = i % ${groupsOfRow}u * 16u;
      loadWeights(${transposed ? 'at + row, column0 + column' : 'column0 + row, at + column'}, row, column / 4u);
    }
    workgroupBarrier();
    for (var s = 0u; s < ${depth / 4}u; s++) {
${[0, 1, 2, 3].map((j) => `      let w${j} = ${panel.load(`ws[${transposed ? `placeOf(4u * s + ${j}u, tx)` : `placeOf(tx + ${16 * j}u, s)`}]`)};`).join('\n')}
${each
  .map((i) => {
    const row = `      let x${i} = ${panel.load(`xs[(ty * ${rowsEach}u + ${i}u) * ${depth / 4}u + s]`)};\n`;
    return transposed
      ? `${row}      sum${i} += x${i}.x * w0 + x${i}.y * w1 + x${i}.z * w2 + x${i}.w * w3;`
      : `${row}      sum${i} += vec4f(dot(x${i}, w0), dot(x${i}, w1), dot(x${i}, w2), dot(x${i}, w3));`;
  })
  .join('\n')}
    }
    workgroupBarrier();
  }
${each.map((i) => store(transposed && y4, transposed ? 'column0 + 4u * tx' : 'column0 + tx', transposed ? 1 : 16, `row0 + ty * ${rowsEach}u + ${i}u`, i, adds)).join('\n')}`,
    };
  },
);

/** Writes `sum<i>`: columns `column`, `column + apart`, ... of its row. */
function store(vector: boolean, column: string, apart: number, row: string, i: number, adds: boolean): string {
  if (vector) {
    return `  if (${row} < p.m && ${column} < p.n) { ${put(adds, 'y', `((${row}) * p.n + ${column}) >> 2u`, `sum${i}`)}; }`;
  }
  return [0, 1, 2, 3]
    .map((j) => {
      const at = `${column} + ${apart * j}u`;
      return `  if (${row} < p.m && ${at} < p.n) { ${put(adds, 'y', `(${row}) * p.n + ${at}`, `sum${i}[${j}]`)}; }`;
    })
    .join('\n');
}

/** One row of x: 32 invocations share a row of W. */
const single = memoized((format: BlockFormat, adds: boolean): Program => {
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
    ${put(adds, 'y', 'row', 'whole')};
  }`,
  };
});
const lanes = 32;

export const matmulQuantized =
  (device: Device): FusedKernels['matmulQuantized'] =>
  (x, weight, spec) => {
    const y = device.output(spec.m * (spec.transposed ? spec.columns : spec.rows));
    multiply(device, x, weight, y, spec, false);
    return y;
  };

export const matmulQuantizedAccumulate =
  (device: Device): FusedKernels['matmulQuantizedAccumulate'] =>
  (target, x, weight, spec) =>
    multiply(device, x, weight, target, spec, true);

function multiply(
  device: Device,
  x: Storage,
  weight: Storage,
  y: Storage,
  spec: QuantizedMatmulSpec,
  adds: boolean,
): void {
  const { format, m, rows, columns, transposed } = spec;
  const [n, k] = transposed ? [columns, rows] : [rows, columns];
  const operands = { x, ...blockOperands(device, format, weight), y };
  const decoding = blockParameters(format, rows, columns);
  if (m === 1 && !transposed && columns % 4 === 0) {
    device.run(single(format, adds), {
      operands,
      parameters: { ...decoding, n, columns },
      constants: { LANES: lanes },
      workgroups: Math.ceil((n * lanes) / rowWorkgroup),
    });
    return;
  }
  const rowsEach = m > 16 ? 8 : 4;
  const tilesDown = Math.ceil(m / (4 * rowsEach));
  device.run(tiled(format, transposed, rowsEach, k % 4 === 0, n % 4 === 0, columns % 16 === 0, adds, device.panels), {
    operands,
    parameters: { ...decoding, m, n, k, columns, tilesDown },
    workgroups: tilesDown * Math.ceil(n / tileColumns),
  });
}
