/*
 * Causal grouped-query attention by blocks, after FlashAttention-2 (Dao 2023, arXiv 2307.08691): a block of queries, of all
 * heads that share a key-value head, goes over the keys in blocks of KEYS. No more than a block of scores exists at a time.
 *
 * Rows of a block are (head of the group, query), the head outermost. What is summed over blocks is summed in ascending
 * order, and the blocks' sizes are the same on every target: so are the bits.
 */
#ifndef LOWRANK_ATTENTION_H
#define LOWRANK_ATTENTION_H

#include "gemm.h"
#include "rows.h"

/* These two stand in src/kernels/attention.ts too. */
#define KEYS 128
#define QUERY_ROWS 96

typedef struct attention {
  const float *q, *k, *v;
  isize heads, kvHeads, headSize;
  isize group;      /* heads that share a key-value head */
  isize perBlock;   /* queries of a block */
  isize rows;       /* rows of a full block: group * perBlock */
  isize tokenKeys;  /* elements of a token's keys */
  isize tokenQueries;
  float scale;
  isize segments;
  const double *list; /* [segments, 4] */
} attention;

/* A block of queries of one sequence and one key-value head. */
typedef struct query_block {
  isize query; /* of all queries, the block's first */
  isize key;   /* of all keys, the sequence's first */
  isize queries, rows;
  isize visible; /* keys of the sequence that the block's first query sees; the next one sees one more */
  isize keys;    /* that the last one sees */
  isize kvHead;
} query_block;

INLINE attention attention_of(const float *q, const float *k, const float *v, const double *sizes) {
  attention t = {.q = q, .k = k, .v = v};
  t.heads = SIZE(sizes[2]);
  t.kvHeads = SIZE(sizes[3]);
  t.headSize = SIZE(sizes[4]);
  t.scale = (float)sizes[5];
  t.segments = SIZE(sizes[6]);
  t.list = sizes + 7;
  t.group = t.kvHeads == 0 ? 0 : t.heads / t.kvHeads;
  t.perBlock = t.group == 0 || t.group > QUERY_ROWS ? 1 : QUERY_ROWS / t.group;
  t.rows = t.group * t.perBlock;
  t.tokenKeys = t.kvHeads * t.headSize;
  t.tokenQueries = t.heads * t.headSize;
  return t;
}

/* Block `index` of a sequence's queries. */
INLINE query_block block_of(const attention *t, isize segment, isize index, isize kvHead) {
  const double *s = t->list + 4 * segment;
  isize first = index * t->perBlock, queries = SIZE(s[1]), keys = SIZE(s[3]);
  query_block b = {.query = SIZE(s[0]) + first, .key = SIZE(s[2]), .kvHead = kvHead};
  b.queries = min_size(t->perBlock, queries - first);
  b.rows = b.queries * t->group;
  b.visible = keys - queries + first + 1;
  b.keys = b.visible + b.queries - 1;
  if (b.keys < 0) b.keys = 0;
  return b;
}

INLINE isize blocks_of(const attention *t, isize segment) {
  return divide_up(SIZE(t->list[4 * segment + 1]), t->perBlock);
}

/* How many (sequence, block of queries, key-value head) there are. */
INLINE isize count_blocks(const attention *t) {
  isize count = 0;
  for (isize s = 0; s < t->segments; s++) count += blocks_of(t, s) * t->kvHeads;
  return count;
}

/* The chunk-th of them: within a sequence the last queries, which see most keys, come first. */
INLINE query_block nth_block(const attention *t, isize chunk) {
  isize segment = 0;
  for (; chunk >= blocks_of(t, segment) * t->kvHeads; segment++) chunk -= blocks_of(t, segment) * t->kvHeads;
  return block_of(t, segment, blocks_of(t, segment) - 1 - chunk / t->kvHeads, chunk % t->kvHeads);
}

/* All rows r of block b: head h of the group, query i of the block. */
#define FOR_BLOCK_ROWS(t, b, r, h, i) \
  for (isize h = 0, r = 0; h < (t)->group; h++) \
    for (isize i = 0; i < (b)->queries; i++, r++)

/* Where the row of head h and query i begins in a [queries, heads * headSize] array. */
INLINE isize row_offset(const attention *t, const query_block *b, isize h, isize i) {
  return (b->query + i) * t->tokenQueries + (b->kvHead * t->group + h) * t->headSize;
}
/* Where it stands in a [queries, heads] array. */
INLINE isize row_index(const attention *t, const query_block *b, isize h, isize i) {
  return (b->query + i) * t->heads + b->kvHead * t->group + h;
}

/* How many keys of [key, key + width) query i of the block sees. */
INLINE isize seen(const query_block *b, isize i, isize key, isize width) {
  isize n = b->visible + i - key;
  return n < 0 ? 0 : min_size(n, width);
}

INLINE void copy_floats(float *restrict target, const float *restrict source, isize length) {
  for (isize i = 0; i < length; i++) target[i] = source[i];
}

/* The block's rows of a [queries, heads * headSize] array, [rows, headSize]. */
static __attribute__((unused)) void gather_rows(const attention *t, const query_block *b, const float *source,
                                                float *target) {
  FOR_BLOCK_ROWS(t, b, r, h, i) copy_floats(target + r * t->headSize, source + row_offset(t, b, h, i), t->headSize);
}

/* Keys (or values) from `key` on of this block's sequence and key-value head: element (i, j) of [keys, headSize]. */
INLINE matrix keys_at(const attention *t, const query_block *b, const float *source, isize key) {
  return (matrix){source + (b->key + key) * t->tokenKeys + b->kvHead * t->headSize, t->tokenKeys, 1};
}
INLINE matrix flip(matrix x) { return (matrix){x.data, x.columnStride, x.rowStride}; }

/* c [rows, headSize] += apack [rows, depth] source [depth, headSize]; source's rows are copied to `packed` where a tile
   would read past their end. */
static __attribute__((unused)) void multiply_rows(const attention *t, const float *apack, matrix source, float *packed,
                                                  float *c, isize cStride, isize rows, isize depth, int fresh) {
  if (t->headSize % VL == 0) {
    multiply(apack, 0, source.data, NR, source.rowStride, c, cStride, rows, t->headSize, depth, fresh);
  } else {
    for (isize j = 0; j < t->headSize; j += NR) {
      matrix part = {source.data + j, source.rowStride, 1};
      pack_b_panel(packed + j * depth, part, depth, min_size(NR, t->headSize - j));
    }
    multiply(apack, 0, packed, depth * NR, NR, c, cStride, rows, t->headSize, depth, fresh);
  }
}

#endif
