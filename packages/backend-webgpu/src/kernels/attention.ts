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
import { attentionTiles, mixRows, multiplyRows, sliceOf, slicesOf, storeSlice } from '../wgsl/attention-tiles.ts';
import { expOf, type Vector } from '../wgsl/functions.ts';
import { layRows, rowFunctions, rowWorkgroup, vectorOf } from '../wgsl/rows.ts';
import { tilesOf } from './attention-tiles.ts';
import { memoized } from './memoized.ts';

const parameters = { heads: 'u32', kvHeads: 'u32', perKey: 'u32', headSize: 'u32', scale: 'f32' } as const;

function parametersOf({ heads, kvHeads, headSize, scale }: AttentionSpec): Record<keyof typeof parameters, number> {
  return { heads, kvHeads, perKey: heads / kvHeads, headSize, scale };
}

/** A tile of queries: the invocation's row, and how many keys it sees (0: it is beyond the last). */
const queryTile = /* wgsl */ `
  let kvHead = group % p.kvHeads;
  let sequence = load_tiles(2u * (group / p.kvHeads));
  let firstRow = load_tiles(2u * (group / p.kvHeads) + 1u).x;
  let rows = sequence.y * p.perKey;
  let row = firstRow + local / 8u;
  let valid = row < rows;
  let query = row / p.perKey;
  let index = (sequence.x + query) * p.heads + kvHead * p.perKey + row % p.perKey;
  let start = index * p.headSize;
  // Keys before the first query.
  let behind = sequence.w - sequence.y;
  let visible = select(0u, behind + query + 1u, valid);
  let end = behind + (min(firstRow + 32u, rows) - 1u) / p.perKey + 1u;`;

/** A tile of keys: where the invocation's row of it begins, and which of its columns its query sees. */
const keysOfTile = /* wgsl */ `
    let keyValid = key + local / 8u < sequence.w;
    let keyFrom = ((sequence.z + key + local / 8u) * p.kvHeads + kvHead) * p.headSize;
    let seen = key + 4u * (local % 8u) + vec4u(0u, 1u, 2u, 3u) < vec4u(visible);`;

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
  workgroup: 256,
  declarations: [
    attentionTiles,
    ...['q', 'k', 'v'].map((operand) => sliceOf(operand, type)),
    storeSlice('y', type),
    expOf('f32'),
    expOf('vec4f', 'expOf4'),
    'var<workgroup> maxima: array<f32, 256>;\nvar<workgroup> sums: array<f32, 256>;',
  ].join('\n'),
  body: /* wgsl */ `${queryTile}
  let lane0 = local / 8u * 8u;
  var most = -3.4e38;
  var sum = 0.0;
  var sumY: array<vec4f, ${slices}>;
  for (var key = 0u; key < end; key += 32u) {${keysOfTile}
    var scores = vec4f();${multiplyRows('scores', slices, 'slice_q(valid, start, slice, local)', 'slice_k(keyValid, keyFrom, slice, local)')}
    scores = select(vec4f(-3.4e38), scores * p.scale, seen);
    maxima[local] = max(max(scores.x, scores.y), max(scores.z, scores.w));
    workgroupBarrier();
    var next = most;
    for (var i = 0u; i < 8u; i++) {
      next = max(next, maxima[lane0 + i]);
    }
    let fade = expOf(most - next);
    most = next;
    let weight = select(vec4f(), expOf4(scores - next), seen);
    weights[local] = weight;
    sums[local] = (weight.x + weight.y) + (weight.z + weight.w);
    workgroupBarrier();
    sum *= fade;
    for (var i = 0u; i < 8u; i++) {
      sum += sums[lane0 + i];
    }${mixRows(slices, 'slice_v(keyValid, keyFrom, slice, local)', 'sumY[slice] = sumY[slice] * fade + mixture(local);')}
  }
  if (valid) {
    for (var slice = 0u; slice < ${slices}u; slice++) {
      storeSlice_y(start, slice, local, sumY[slice] / sum);
    }
    if (local % 8u == 0u) {
      store_logSumExp(index, most + log(sum));
    }
  }`,
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
  workgroup: 256,
  declarations: [
    attentionTiles,
    ...['q', 'k', 'v', 'dy'].map((operand) => sliceOf(operand, type)),
    storeSlice('dq', type),
    expOf('vec4f'),
  ].join('\n'),
  body: /* wgsl */ `${queryTile}
  let kept = load_kept(select(0u, index, valid));
  var sumQ: array<vec4f, ${slices}>;
  for (var key = 0u; key < end; key += 32u) {${keysOfTile}
    var scores = vec4f();${multiplyRows('scores', slices, 'slice_q(valid, start, slice, local)', 'slice_k(keyValid, keyFrom, slice, local)')}
    var slopes = vec4f();${multiplyRows('slopes', slices, 'slice_dy(valid, start, slice, local)', 'slice_v(keyValid, keyFrom, slice, local)')}
    let probability = select(vec4f(), expOf(scores * p.scale - kept.x), seen);
    weights[local] = probability * (slopes - kept.y) * p.scale;${mixRows(slices, 'slice_k(keyValid, keyFrom, slice, local)', 'sumQ[slice] += mixture(local);')}
  }
  if (valid) {
    for (var slice = 0u; slice < ${slices}u; slice++) {
      storeSlice_dq(start, slice, local, sumQ[slice]);
    }
  }`,
}));

const towardKeys = memoized((type: Vector, slices: number): Program => ({
  name: 'attentionBackward',
  operands: { ...inputs(type), dk: `write ${type}`, dv: `write ${type}` },
  parameters,
  workgroup: 256,
  declarations: [
    attentionTiles,
    ...['q', 'k', 'v', 'dy'].map((operand) => sliceOf(operand, type)),
    storeSlice('dk', type),
    storeSlice('dv', type),
    expOf('vec4f'),
  ].join('\n'),
  body: /* wgsl */ `
  let kvHead = group % p.kvHeads;
  let sequence = load_tiles(2u * (group / p.kvHeads));
  let firstKey = load_tiles(2u * (group / p.kvHeads) + 1u).x;
  let rows = sequence.y * p.perKey;
  let behind = sequence.w - sequence.y;
  let key = firstKey + local / 8u;
  let valid = key < sequence.w;
  let start = ((sequence.z + key) * p.kvHeads + kvHead) * p.headSize;
  let firstRow = (max(firstKey, behind) - behind) * p.perKey;
  var sumK: array<vec4f, ${slices}>;
  var sumV: array<vec4f, ${slices}>;
  for (var row = firstRow; row < rows; row += 32u) {
    let own = row + local / 8u;
    let ownValid = own < rows;
    let ownFrom = ((sequence.x + own / p.perKey) * p.heads + kvHead * p.perKey + own % p.perKey) * p.headSize;
    // The four rows that are columns of the transposed tile.
    let four = row + 4u * (local % 8u) + vec4u(0u, 1u, 2u, 3u);
    let queries = four / p.perKey;
    let inside = four < vec4u(rows);
    let seen = inside & (vec4u(key) <= behind + queries) & vec4<bool>(valid);
    let indices = select(vec4u(), (sequence.x + queries) * p.heads + kvHead * p.perKey + four % p.perKey, inside);
    let kept0 = load_kept(indices.x);
    let kept1 = load_kept(indices.y);
    let kept2 = load_kept(indices.z);
    let kept3 = load_kept(indices.w);
    var scores = vec4f();${multiplyRows('scores', slices, 'slice_k(valid, start, slice, local)', 'slice_q(ownValid, ownFrom, slice, local)')}
    var slopes = vec4f();${multiplyRows('slopes', slices, 'slice_v(valid, start, slice, local)', 'slice_dy(ownValid, ownFrom, slice, local)')}
    let probability = select(vec4f(), expOf(scores * p.scale - vec4f(kept0.x, kept1.x, kept2.x, kept3.x)), seen);
    weights[local] = probability;${mixRows(slices, 'slice_dy(ownValid, ownFrom, slice, local)', 'sumV[slice] += mixture(local);')}
    weights[local] = probability * (slopes - vec4f(kept0.y, kept1.y, kept2.y, kept3.y)) * p.scale;${mixRows(slices, 'slice_q(ownValid, ownFrom, slice, local)', 'sumK[slice] += mixture(local);')}
  }
  if (valid) {
    for (var slice = 0u; slice < ${slices}u; slice++) {
      storeSlice_dk(start, slice, local, sumK[slice]);
      storeSlice_dv(start, slice, local, sumV[slice]);
    }
  }`,
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
