/**
 * A tile of the product for each workgroup: panels of a and b go through workgroup memory, and an invocation keeps up to 8 x 4
 * results in registers. Panels are stored with four rows of a, or columns of b, to a vector; they are filled in blocks of
 * 4 x 4, which an invocation reads along the axis that lies in memory (as whole vectors where the sizes allow) and turns where
 * that axis is k. Panels hold f32, or f16 where the user asked for it. Each result is one chain over k in ascending order, whatever the tile.
 */
import type { ElementType, Program } from '../device/program.ts';
import { panelOf, type Panel, type PanelType } from '../wgsl/panels.ts';
import { put, putFour } from '../wgsl/put.ts';
import { memoized } from './memoized.ts';

export interface Tile {
  readonly name: TileName;
  readonly m: number;
  readonly n: number;
  /** Rows of an invocation; each has 4 columns. */
  readonly rows: number;
  /** Depth of the panels. Both together stay within the 16 KiB that every device has. */
  readonly k: number;
}

export type TileName = 'large' | 'middle' | 'flat' | 'tall';

const tiles: Readonly<Record<TileName, Tile>> = {
  large: { name: 'large', m: 64, n: 64, rows: 8, k: 32 },
  middle: { name: 'middle', m: 32, n: 32, rows: 4, k: 32 },
  // Few rows or few columns, as of a low-rank pair.
  flat: { name: 'flat', m: 16, n: 64, rows: 4, k: 32 },
  tall: { name: 'tall', m: 64, n: 16, rows: 4, k: 32 },
};

export function tileFor(m: number, n: number): Tile {
  if (m <= 16) return tiles.flat;
  if (n <= 16) return tiles.tall;
  return m > 32 && n > 32 ? tiles.large : tiles.middle;
}

type Variant = [
  name: TileName,
  transposeA: boolean,
  transposeB: boolean,
  vectorA: boolean,
  vectorB: boolean,
  vectorC: boolean,
  adds: boolean,
  panels: PanelType,
];

/** `vectorA`, `vectorB`, `vectorC`: the operand consists of whole vectors along the axis that lies in memory. `adds`: to what is in c. */
export const tileProgram: (...variant: Variant) => Program = memoized(
  (...[name, transposeA, transposeB, vectorA, vectorB, vectorC, adds, panels]: Variant): Program => {
    const tile = tiles[name];
    const groupsM = Math.ceil(tile.m / 4);
    const groupsN = tile.n / 4;
    const threads = (tile.m / tile.rows) * groupsN;
    const depth = tile.k / 4;
    const [blocksA, blocksB] = [groupsM * depth, groupsN * depth];
    const rows = Array.from({ length: tile.rows }, (_, row) => row);
    const component = (row: number): string => 'xyzw'[row % 4]!;
    const vectors = Array.from({ length: Math.ceil(tile.rows / 4) }, (_, at) => at);
    const panel = panelOf(panels);
    const operand = (vector: boolean): ElementType => (vector ? 'vec4f' : 'f32');
    return {
      ...panel.extensions,
      name: `matmul, ${name} tile`,
      operands: { a: `read ${operand(vectorA)}`, b: `read ${operand(vectorB)}`, c: `write ${operand(vectorC)}` },
      parameters: { m: 'u32', n: 'u32', k: 'u32', tilesM: 'u32', tilesN: 'u32', strideA: 'u32', strideB: 'u32' },
      workgroup: threads,
      declarations: /* wgsl */ `${panel.declarations}
var<workgroup> panelA: array<${panel.element}, ${groupsM * tile.k}>;
var<workgroup> panelB: array<${panel.element}, ${groupsN * tile.k}>;
${fillPanel(panel, { operand: 'a', panel: 'panelA', groups: groupsM, depth, along: 'm', contiguous: transposeA ? 'along' : 'k', vector: vectorA })}
${fillPanel(panel, { operand: 'b', panel: 'panelB', groups: groupsN, depth, along: 'n', contiguous: transposeB ? 'k' : 'along', vector: vectorB })}
${storeRow(vectorC, adds)}`,
      body: /* wgsl */ `
  let column0 = group % p.tilesN * ${tile.n}u;
  let row0 = group / p.tilesN % p.tilesM * ${tile.m}u;
  let matrix = group / (p.tilesN * p.tilesM);
  let startA = matrix * p.strideA;
  let startB = matrix * p.strideB;
  let x = local % ${groupsN}u;
  let y = local / ${groupsN}u;
  ${rows.map((row) => `var c${row} = vec4f();`).join('\n  ')}
  for (var k0 = 0u; k0 < p.k; k0 += ${tile.k}u) {
    for (var block = local; block < ${blocksA + blocksB}u; block += ${threads}u) {
      if (block < ${blocksA}u) { fill_a(startA, block, row0, k0); } else { fill_b(startB, block - ${blocksA}u, column0, k0); }
    }
    workgroupBarrier();
    for (var k = 0u; k < ${tile.k}u; k++) {
      ${vectors.map((at) => `let a${at} = ${panel.load(`panelA[k * ${groupsM}u + y * ${vectors.length}u + ${at}u]`)};`).join('\n      ')}
      let b = ${panel.load(`panelB[k * ${groupsN}u + x]`)};
      ${rows.map((row) => `c${row} += a${row >> 2}.${component(row)} * b;`).join('\n      ')}
    }
    workgroupBarrier();
  }
  let column = column0 + x * 4u;
  let row = row0 + y * ${tile.rows}u;
  ${rows.map((at) => `storeRow(matrix, row + ${at}u, column, c${at});`).join('\n  ')}`,
    };
  },
);

interface Filling {
  readonly operand: 'a' | 'b';
  readonly panel: string;
  /** Vectors of the panel for each k. */
  readonly groups: number;
  /** Blocks of the panel along k. */
  readonly depth: number;
  /** The operand's other axis, and the parameter with its size. */
  readonly along: 'm' | 'n';
  /** Which of the two axes lies in memory. */
  readonly contiguous: 'along' | 'k';
  readonly vector: boolean;
}

/**
 * `fill_a(start, block, first, k0)`: block 0, 1, ... of the panel that begins at row (or column) `first` and at `k0`. What lies beyond
 * the matrix is 0. Neighbouring invocations take neighbouring blocks along the axis that lies in memory.
 */
function fillPanel({ store }: Panel, { operand, panel, groups, depth, along, contiguous, vector }: Filling): string {
  const [fast, slow] = contiguous === 'k' ? ['k', 'at'] : ['at', 'k'];
  const blocks =
    contiguous === 'k'
      ? `let k = k0 + (block % ${depth}u) * 4u; let at = first + block / ${depth}u * 4u;`
      : `let at = first + (block % ${groups}u) * 4u; let k = k0 + block / ${groups}u * 4u;`;
  const sizes = { k: 'p.k', at: `p.${along}` } as const;
  const fastSize = sizes[fast as 'k' | 'at'];
  const slowSize = sizes[slow as 'k' | 'at'];
  const load = vector
    ? `load_${operand}((start + line * ${fastSize} + ${fast}) / 4u)`
    : `four_${operand}(start + line * ${fastSize} + ${fast}, ${fastSize} - ${fast})`;
  const four = /* wgsl */ `
fn four_${operand}(i: u32, left: u32) -> vec4f {
  var value = vec4f(load_${operand}(i), 0.0, 0.0, 0.0);
  if (left > 1u) { value.y = load_${operand}(i + 1u); }
  if (left > 2u) { value.z = load_${operand}(i + 2u); }
  if (left > 3u) { value.w = load_${operand}(i + 3u); }
  return value;
}`;
  const lines = [0, 1, 2, 3].map((at) => `let v${at} = line_${operand}(start, ${slow} + ${at}u, ${fast});`);
  const turned = ['x', 'y', 'z', 'w'].map((c) => `vec4f(v0.${c}, v1.${c}, v2.${c}, v3.${c})`);
  const values = contiguous === 'k' ? turned : ['v0', 'v1', 'v2', 'v3'];
  const stores = values.map((value, at) => `${panel}[to + ${at * groups}u] = ${store(value)};`);
  return /* wgsl */ `${vector ? '' : four}
fn line_${operand}(start: u32, line: u32, ${fast}: u32) -> vec4f {
  var value = vec4f();
  if (line < ${slowSize} && ${fast} < ${fastSize}) { value = ${load}; }
  return value;
}
fn fill_${operand}(start: u32, block: u32, first: u32, k0: u32) {
  ${blocks}
  ${lines.join('\n  ')}
  let to = (k - k0) * ${groups}u + (at - first) / 4u;
  ${stores.join('\n  ')}
}`;
}

function storeRow(vector: boolean, adds: boolean): string {
  const store = vector ? `${put(adds, 'c', 'i / 4u', 'value')};` : putFour(adds, 'c');
  return /* wgsl */ `
fn storeRow(matrix: u32, row: u32, column: u32, value: vec4f) {
  if (row >= p.m || column >= p.n) { return; }
  let i = (matrix * p.m + row) * p.n + column;
  ${store}
}`;
}
