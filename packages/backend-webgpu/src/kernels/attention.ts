/**
 * Causal grouped-query attention by tiles, after FlashAttention-2 (Dao 2023, arXiv 2307.08691): 32 rows of queries, of all heads
 * that share a key-value head, go over the keys 32 at a time. No more than a tile of scores exists at once.
 *
 * Backward, with P = exp(q k^T scale - logSumExp) and D = sum(dOutput output): dv = P^T dOutput, dS = P (dOutput v^T - D) scale,
 * dq = dS k, dk = dS^T q. dq is summed tile of queries by tile of queries over ascending keys, dk and dv tile of keys by tile of
 * keys over ascending queries, so that nothing is added to by two workgroups; scores are computed in both.
 */
import type { AttentionSpec, FusedKernels } from '@lowrank/core';
import type { Device } from '../device.ts';
import type { Program } from '../device/program.ts';
import {
  attentionTiles,
  mixRows,
  multiplyRows,
  rows,
  sliceOf,
  slicesOf,
  storeSlice,
  tileWorkgroup,
} from '../wgsl/attention-tiles.ts';
import { expOf, type Vector } from '../wgsl/functions.ts';
import { layRows, rowFunctions, rowWorkgroup, vectorOf } from '../wgsl/rows.ts';
import { tilesOf } from './attention-tiles.ts';
import { memoized } from './memoized.ts';

const parameters = { heads: 'u32', kvHeads: 'u32', perKey: 'u32', headSize: 'u32', scale: 'f32' } as const;

function parametersOf({ heads, kvHeads, headSize, scale }: AttentionSpec): Record<keyof typeof parameters, number> {
  return { heads, kvHeads, perKey: heads / kvHeads, headSize, scale };
}

/** A tile of queries: the invocation's rows, and how many keys each sees (0: it is beyond the last). */
const queryTile = /* wgsl */ `
  let tx = local % 8u;
  let ty = local / 8u;
  let kvHead = group % p.kvHeads;
  let sequence = load_tiles(2u * (group / p.kvHeads));
  let firstRow = load_tiles(2u * (group / p.kvHeads) + 1u).x;
  let rowCount = sequence.y * p.perKey;
  // Keys before the first query.
  let behind = sequence.w - sequence.y;
  let end = behind + (min(firstRow + 32u, rowCount) - 1u) / p.perKey + 1u;
${rows(
  (r) => `  let row${r} = firstRow + ty + ${8 * r}u;
  let valid${r} = row${r} < rowCount;
  let index${r} = (sequence.x + row${r} / p.perKey) * p.heads + kvHead * p.perKey + row${r} % p.perKey;
  let start${r} = index${r} * p.headSize;
  let visible${r} = select(0u, behind + row${r} / p.perKey + 1u, valid${r});`,
)}`;

/** A tile of keys: where the invocation's rows of it begin, and which of its columns each of its queries sees. */
const keysOfTile = /* wgsl */ `
    let columns = key + 4u * tx + vec4u(0u, 1u, 2u, 3u);
${rows(
  (r) => `    let keyValid${r} = key + ty + ${8 * r}u < sequence.w;
    let keyStart${r} = ((sequence.z + key + ty + ${8 * r}u) * p.kvHeads + kvHead) * p.headSize;
    let seen${r} = columns < vec4u(visible${r});`,
)}`;

/** A vector of an invocation's row r of its own tile, or of the tile that goes by. */
const ofQuery = (operand: string) => (r: number) => `slice_${operand}(valid${r}, start${r}, slice, tx)`;
const ofKey = (operand: string) => (r: number) => `slice_${operand}(keyValid${r}, keyStart${r}, slice, tx)`;

const forward = memoized((type: Vector, slices: number): Program => ({
  name: 'attention',
  operands: {
    q: `read ${type}`,
    k: `read ${type}`,
    v: `read ${type}`,
    tiles: 'read vec4u',
    y: `write ${type}`,
    logSumExp: 'write f32',
  },
  parameters,
  workgroup: tileWorkgroup,
  declarations: [
    attentionTiles,
    ...['q', 'k', 'v'].map((operand) => sliceOf(operand, type)),
    storeSlice('y', type),
    expOf('f32'),
    expOf('vec4f', 'expOf4'),
    'var<workgroup> maxima: array<f32, 256>;\nvar<workgroup> sums: array<f32, 256>;',
  ].join('\n'),
  body: /* wgsl */ `${queryTile}
  var sumY: array<vec4f, ${4 * slices}>;
${rows((r) => `  var most${r} = -3.4e38;\n  var sum${r} = 0.0;`)}
  for (var key = 0u; key < end; key += 32u) {${keysOfTile}${multiplyRows('scores', slices, ofQuery('q'), ofKey('k'))}
${rows(
  (r) => `    scores${r} = select(vec4f(-3.4e38), scores${r} * p.scale, seen${r});
    maxima[(ty + ${8 * r}u) * 8u + tx] = greatest(scores${r});`,
)}
    workgroupBarrier();
${rows(
  (r) => `    var next${r} = most${r};
    for (var i = 0u; i < 8u; i++) { next${r} = max(next${r}, maxima[(ty + ${8 * r}u) * 8u + i]); }
    let fade${r} = expOf(most${r} - next${r});
    most${r} = next${r};
    let weight${r} = select(vec4f(), expOf4(scores${r} - next${r}), seen${r});
    weights[(ty + ${8 * r}u) * 8u + tx] = weight${r};
    sums[(ty + ${8 * r}u) * 8u + tx] = total(weight${r});`,
)}
    workgroupBarrier();
${rows(
  (r) => `    sum${r} *= fade${r};
    for (var i = 0u; i < 8u; i++) { sum${r} += sums[(ty + ${8 * r}u) * 8u + i]; }`,
)}${mixRows('sumY', slices, ofKey('v'), (r) => `sumY[4u * slice + ${r}u] * fade${r}`)}
  }
${rows(
  (r) => `  if (valid${r}) {
    for (var slice = 0u; slice < ${slices}u; slice++) {
      storeSlice_y(start${r}, slice, tx, sumY[4u * slice + ${r}u] / sum${r});
    }
    if (tx == 0u) { store_logSumExp(index${r}, most${r} + log(sum${r})); }
  }`,
)}`,
}));

/** (logSumExp, D) of every query and head. */
const statistics = memoized((type: Vector): Program => ({
  name: 'attentionBackward',
  operands: { y: `read ${type}`, dy: `read ${type}`, logSumExp: 'read f32', kept: 'write vec2f' },
  parameters: { rows: 'u32', width: 'u32' },
  workgroup: rowWorkgroup,
  declarations: rowFunctions(type),
  body: /* wgsl */ `
  let row = rowOf(group, local);
  let end = select(0u, p.width, row < p.rows);
  var sum = ${type}(0.0);
  for (var j = laneOf(local); j < end; j += u32(LANES)) {
    sum += load_dy(row * p.width + j) * load_y(row * p.width + j);
  }
  let dot = addLanes(local, total(sum));
  if (row < p.rows && laneOf(local) == 0u) {
    store_kept(row, vec2f(load_logSumExp(row), dot));
  }`,
}));

const inputs = (type: Vector) =>
  ({
    q: `read ${type}`,
    k: `read ${type}`,
    v: `read ${type}`,
    dy: `read ${type}`,
    kept: 'read vec2f',
    tiles: 'read vec4u',
  }) as const;

const towardQueries = memoized((type: Vector, slices: number): Program => ({
  name: 'attentionBackward',
  operands: { ...inputs(type), dq: `write ${type}` },
  parameters,
  workgroup: tileWorkgroup,
  declarations: [
    attentionTiles,
    ...['q', 'k', 'v', 'dy'].map((operand) => sliceOf(operand, type)),
    storeSlice('dq', type),
    expOf('vec4f'),
  ].join('\n'),
  body: /* wgsl */ `${queryTile}
  var sumQ: array<vec4f, ${4 * slices}>;
${rows((r) => `  let kept${r} = load_kept(select(0u, index${r}, valid${r}));`)}
  for (var key = 0u; key < end; key += 32u) {${keysOfTile}${multiplyRows('scores', slices, ofQuery('q'), ofKey('k'))}${multiplyRows('slopes', slices, ofQuery('dy'), ofKey('v'))}
${rows(
  (r) => `    let probability${r} = select(vec4f(), expOf(scores${r} * p.scale - kept${r}.x), seen${r});
    weights[(ty + ${8 * r}u) * 8u + tx] = probability${r} * (slopes${r} - kept${r}.y) * p.scale;`,
)}${mixRows('sumQ', slices, ofKey('k'), (r) => `sumQ[4u * slice + ${r}u]`)}
  }
${rows(
  (r) => `  if (valid${r}) {
    for (var slice = 0u; slice < ${slices}u; slice++) { storeSlice_dq(start${r}, slice, tx, sumQ[4u * slice + ${r}u]); }
  }`,
)}`,
}));

const towardKeys = memoized((type: Vector, slices: number): Program => ({
  name: 'attentionBackward',
  operands: { ...inputs(type), dk: `write ${type}`, dv: `write ${type}` },
  parameters,
  workgroup: tileWorkgroup,
  declarations: [
    attentionTiles,
    ...['q', 'k', 'v', 'dy'].map((operand) => sliceOf(operand, type)),
    storeSlice('dk', type),
    storeSlice('dv', type),
    expOf('vec4f'),
  ].join('\n'),
  body: /* wgsl */ `
  let tx = local % 8u;
  let ty = local / 8u;
  let kvHead = group % p.kvHeads;
  let sequence = load_tiles(2u * (group / p.kvHeads));
  let firstKey = load_tiles(2u * (group / p.kvHeads) + 1u).x;
  let rowCount = sequence.y * p.perKey;
  let behind = sequence.w - sequence.y;
  let firstRow = (max(firstKey, behind) - behind) * p.perKey;
  var sumK: array<vec4f, ${4 * slices}>;
  var sumV: array<vec4f, ${4 * slices}>;
${rows(
  (r) => `  let key${r} = firstKey + ty + ${8 * r}u;
  let keyValid${r} = key${r} < sequence.w;
  let keyStart${r} = ((sequence.z + key${r}) * p.kvHeads + kvHead) * p.headSize;`,
)}
  for (var row = firstRow; row < rowCount; row += 32u) {
${rows(
  (r) => `    let row${r} = row + ty + ${8 * r}u;
    let valid${r} = row${r} < rowCount;
    let start${r} = ((sequence.x + row${r} / p.perKey) * p.heads + kvHead * p.perKey + row${r} % p.perKey) * p.headSize;`,
)}
    // The four rows that are columns of the transposed tile.
    let columns = row + 4u * tx + vec4u(0u, 1u, 2u, 3u);
    let queries = columns / p.perKey;
    let inside = columns < vec4u(rowCount);
    let indices = select(vec4u(), (sequence.x + queries) * p.heads + kvHead * p.perKey + columns % p.perKey, inside);
${rows((r) => `    let kept${r} = load_kept(indices[${r}]);`)}${multiplyRows('scores', slices, ofKey('k'), ofQuery('q'))}${multiplyRows('slopes', slices, ofKey('v'), ofQuery('dy'))}
    let shift = vec4f(kept0.x, kept1.x, kept2.x, kept3.x);
    let mean = vec4f(kept0.y, kept1.y, kept2.y, kept3.y);
${rows(
  (r) => `    let seen${r} = inside & (vec4u(key${r}) <= behind + queries) & vec4<bool>(keyValid${r});
    let probability${r} = select(vec4f(), expOf(scores${r} * p.scale - shift), seen${r});
    weights[(ty + ${8 * r}u) * 8u + tx] = probability${r};`,
)}${mixRows('sumV', slices, ofQuery('dy'), (r) => `sumV[4u * slice + ${r}u]`)}
${rows((r) => `    weights[(ty + ${8 * r}u) * 8u + tx] = probability${r} * (slopes${r} - mean) * p.scale;`)}${mixRows('sumK', slices, ofQuery('q'), (r) => `sumK[4u * slice + ${r}u]`)}
  }
${rows(
  (r) => `  if (keyValid${r}) {
    for (var slice = 0u; slice < ${slices}u; slice++) {
      storeSlice_dk(keyStart${r}, slice, tx, sumK[4u * slice + ${r}u]);
      storeSlice_dv(keyStart${r}, slice, tx, sumV[4u * slice + ${r}u]);
    }
  }`,
)}`,
}));

export const attention =
  (device: Device): FusedKernels['attention'] =>
  (q, k, v, spec) => {
    const { queries, heads, kvHeads, headSize } = spec;
    const y = device.output(queries * heads * headSize);
    const logSumExp = device.output(queries * heads);
    const { list, count } = tilesOf(spec).queries;
    device.run(forward(vectorOf(headSize), slicesOf(headSize)), {
      operands: { q, k, v, tiles: device.list(list), y, logSumExp },
      parameters: parametersOf(spec),
      workgroups: count * kvHeads,
    });
    return { output: y, logSumExp };
  };

export const attentionBackward =
  (device: Device): FusedKernels['attentionBackward'] =>
  (q, k, v, output, logSumExp, dOutput, spec) => {
    const { queries, keys, heads, kvHeads, headSize } = spec;
    const dq = device.output(queries * heads * headSize);
    const dk = device.output(keys * kvHeads * headSize);
    const dv = device.output(keys * kvHeads * headSize);
    const type = vectorOf(headSize);
    const slices = slicesOf(headSize);
    const rows = queries * heads;
    const kept = device.scratch(2 * rows);
    const { width, ...layout } = layRows(rows, headSize);
    device.run(statistics(type), {
      ...layout,
      operands: { y: output, dy: dOutput, logSumExp, kept },
      parameters: { rows, width },
    });
    const tiles = tilesOf(spec);
    const operands = { q, k, v, dy: dOutput, kept };
    device.run(towardQueries(type, slices), {
      operands: { ...operands, tiles: device.list(tiles.queries.list), dq },
      parameters: parametersOf(spec),
      workgroups: tiles.queries.count * kvHeads,
    });
    device.run(towardKeys(type, slices), {
      operands: { ...operands, tiles: device.list(tiles.keys.list), dk, dv },
      parameters: parametersOf(spec),
      workgroups: tiles.keys.count * kvHeads,
    });
    return { dq, dk, dv };
  };
