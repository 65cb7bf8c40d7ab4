/** Which tile of which sequence a workgroup works on: lists for the device, made once for each array of segments. */
import type { AttentionSpec } from '@lowrank/core';
import { tileRows } from '../wgsl/attention-tiles.ts';

/** Numbers of a tile: first query, queries, first key, keys of its sequence; the tile's first row in it; padding to whole vectors. */
const entry = 8;

export interface TileList {
  readonly list: Uint32Array;
  readonly count: number;
}

interface Tiles {
  readonly queries: TileList;
  readonly keys: TileList;
}

const known = new WeakMap<Int32Array, Map<string, Tiles>>();

/**
 * Tiles of queries: rows are (query, head of the group), the heads of a query side by side. Tiles of keys cover all keys, those
 * of no sequence too, whose gradient is zero.
 */
export function tilesOf({ segments, keys, heads, kvHeads }: AttentionSpec): Tiles {
  const group = heads / kvHeads;
  const key = `${keys} ${group}`;
  const own = known.get(segments) ?? new Map<string, Tiles>();
  known.set(segments, own);
  const tiles = own.get(key) ?? { queries: queryTiles(segments, group), keys: keyTiles(segments, keys) };
  own.set(key, tiles);
  return tiles;
}

function sequencesOf(segments: Int32Array): Int32Array[] {
  return Array.from({ length: segments.length / 4 }, (_, i) => segments.subarray(4 * i, 4 * i + 4));
}

function queryTiles(segments: Int32Array, group: number): TileList {
  return listOf(sequencesOf(segments).flatMap((sequence) => tilesOfRows(sequence, sequence[1]! * group)));
}

function keyTiles(segments: Int32Array, keys: number): TileList {
  const sequences = sequencesOf(segments).toSorted((a, b) => a[2]! - b[2]!);
  const tiles: number[][] = [];
  let next = 0;
  for (const sequence of sequences) {
    const [, , first, count] = sequence as unknown as [number, number, number, number];
    tiles.push(...unseen(next, first), ...tilesOfRows(sequence, count));
    next = Math.max(next, first + count);
  }
  return listOf([...tiles, ...unseen(next, keys)]);
}

/** Keys that no query sees. */
function unseen(from: number, to: number): number[][] {
  return tilesOfRows([0, 0, from, to - from], to - from);
}

function tilesOfRows(sequence: ArrayLike<number>, rows: number): number[][] {
  return Array.from({ length: Math.max(0, Math.ceil(rows / tileRows)) }, (_, i) => [
    ...Array.from(sequence),
    i * tileRows,
  ]);
}

function listOf(tiles: readonly number[][]): TileList {
  const list = new Uint32Array(tiles.length * entry);
  for (const [i, tile] of tiles.entries()) list.set(tile, i * entry);
  return { list, count: tiles.length };
}
