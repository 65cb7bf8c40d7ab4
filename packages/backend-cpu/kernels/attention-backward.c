/*
 * Attention backward, FlashAttention-2's algorithm 2: with P = exp(q k^T scale - logSumExp) and D = sum(dOutput output),
 *   dv = P^T dOutput,  dS = P (dOutput v^T - D) scale,  dq = dS k,  dk = dS^T q.
 *
 * dq is summed over ascending keys; dk and dv over blocks of queries, in each over its rows. Either one chunk does a
 * sequence and key-value head as a whole, or, where those are too few for the threads, blocks of queries (for dq) and
 * blocks of keys (for dk and dv) are chunks and scores are computed twice. Both ways sum in the same order.
 */
#include "attention.h"

typedef struct backward {
  attention t;
  const float *output, *logSumExp, *dOutput;
  float *dq, *dk, *dv;
} backward;

typedef struct buffers {
  float *q, *dOutput;         /* [rows, headSize] */
  float *packedQ, *packedD;   /* their panels */
  float *keys, *values;       /* k^T and v^T in panels */
  float *scores, *slopes;     /* P and dS, [rows, KEYS] */
  float *panels;              /* of one of them, or of its transpose */
  float *rowsOfKeys;          /* keys in order, where a tile needs them copied */
  float *dq;                  /* [rows, headSize] */
  float *sums;                /* D */
} buffers;

/* As src/kernels/attention.ts counts them. */
INLINE isize place(const attention *t, float *p, buffers *b) {
  float *start = p;
  isize d = t->headSize, panel = t->rows + MR;
  b->q = p, p += t->rows * d + NR;
  b->dOutput = p, p += t->rows * d + NR;
  b->packedQ = p, p += panel * d;
  b->packedD = p, p += panel * d;
  b->keys = p, p += KEYS * d;
  b->values = p, p += KEYS * d;
  b->scores = p, p += t->rows * KEYS;
  b->slopes = p, p += t->rows * KEYS;
  b->panels = p, p += panel * (KEYS + MR);
  b->rowsOfKeys = p, p += KEYS * (d + NR);
  b->dq = p, p += t->rows * d;
  b->sums = p, p += t->rows;
  return p - start;
}

static void load_queries(const backward *g, const query_block *b, buffers *s) {
  const attention *t = &g->t;
  isize d = t->headSize;
  gather_rows(t, b, t->q, s->q);
  gather_rows(t, b, g->dOutput, s->dOutput);
  pack_a(s->packedQ, (matrix){s->q, d, 1}, b->rows, d);
  pack_a(s->packedD, (matrix){s->dOutput, d, 1}, b->rows, d);
  FOR_BLOCK_ROWS(t, b, r, h, i) s->sums[r] = row_dot(s->dOutput + r * d, g->output + row_offset(t, b, h, i), d);
}

static void load_keys(const attention *t, const query_block *b, buffers *s, isize key, isize width) {
  pack_b(s->keys, flip(keys_at(t, b, t->k, key)), t->headSize, width);
  pack_b(s->values, flip(keys_at(t, b, t->v, key)), t->headSize, width);
}

/* P and dS of the loaded queries and keys. */
static void slopes(const backward *g, const query_block *b, buffers *s, isize key, isize width) {
  const attention *t = &g->t;
  isize d = t->headSize;
  multiply(s->packedQ, 0, s->keys, d * NR, NR, s->scores, KEYS, b->rows, width, d, 1);
  multiply(s->packedD, 0, s->values, d * NR, NR, s->slopes, KEYS, b->rows, width, d, 1);
  f32x16 scale = set16(t->scale);
  FOR_BLOCK_ROWS(t, b, r, h, i) {
    float *p = s->scores + r * KEYS, *ds = s->slopes + r * KEYS;
    isize n = seen(b, i, key, width), j = 0;
    f32x16 shift = set16(g->logSumExp[row_index(t, b, h, i)]), sum = set16(s->sums[r]);
    for (; j < n; j += 16) {
      f32x16 e = exp16(load16(p + j) * scale - shift);
      f32x16 slope = e * (load16(ds + j) - sum) * scale;
      if (n - j < 16) e = keep16(e, n - j, 0.0f), slope = keep16(slope, n - j, 0.0f);
      store16(p + j, e);
      store16(ds + j, slope);
    }
    for (; j < width; j += 16) store16(p + j, set16(0.0f)), store16(ds + j, set16(0.0f));
  }
}

static void add_dq(const backward *g, const query_block *b, buffers *s, isize key, isize width) {
  pack_a(s->panels, (matrix){s->slopes, KEYS, 1}, b->rows, width);
  multiply_rows(&g->t, s->panels, keys_at(&g->t, b, g->t.k, key), s->rowsOfKeys, s->dq, g->t.headSize, b->rows, width,
                key == 0);
}

static void store_dq(const backward *g, const query_block *b, buffers *s) {
  const attention *t = &g->t;
  if (b->keys == 0)
    for (isize i = 0; i < b->rows * t->headSize; i++) s->dq[i] = 0.0f;
  FOR_BLOCK_ROWS(t, b, r, h, i) copy_floats(g->dq + row_offset(t, b, h, i), s->dq + r * t->headSize, t->headSize);
}

/* target [width, headSize] += weights^T [width, rows] source [rows, headSize]. */
static void add_transposed(const attention *t, const query_block *b, buffers *s, const float *weights,
                           const float *source, float *target, isize key, isize width) {
  pack_a(s->panels, (matrix){weights, 1, KEYS}, width, b->rows);
  float *c = target + (b->key + key) * t->tokenKeys + b->kvHead * t->headSize;
  multiply(s->panels, 0, source, NR, t->headSize, c, t->tokenKeys, width, t->headSize, b->rows, 0);
}

static void add_dkv(const backward *g, const query_block *b, buffers *s, isize key, isize width) {
  add_transposed(&g->t, b, s, s->scores, s->dOutput, g->dv, key, width);
  add_transposed(&g->t, b, s, s->slopes, s->q, g->dk, key, width);
}

/* All of a sequence and key-value head. */
static void whole(const backward *g, isize segment, isize kvHead, buffers *s) {
  for (isize i = 0; i < blocks_of(&g->t, segment); i++) {
    query_block b = block_of(&g->t, segment, i, kvHead);
    load_queries(g, &b, s);
    for (isize key = 0; key < b.keys; key += KEYS) {
      isize width = min_size(KEYS, b.keys - key);
      load_keys(&g->t, &b, s, key, width);
      slopes(g, &b, s, key, width);
      add_dq(g, &b, s, key, width);
      add_dkv(g, &b, s, key, width);
    }
    store_dq(g, &b, s);
  }
}

static void queries_only(const backward *g, query_block b, buffers *s) {
  load_queries(g, &b, s);
  for (isize key = 0; key < b.keys; key += KEYS) {
    isize width = min_size(KEYS, b.keys - key);
    load_keys(&g->t, &b, s, key, width);
    slopes(g, &b, s, key, width);
    add_dq(g, &b, s, key, width);
  }
  store_dq(g, &b, s);
}

static void keys_only(const backward *g, isize segment, isize key, isize kvHead, buffers *s) {
  for (isize i = 0; i < blocks_of(&g->t, segment); i++) {
    query_block b = block_of(&g->t, segment, i, kvHead);
    isize width = min_size(KEYS, b.keys - key);
    if (width <= 0) continue;
    load_queries(g, &b, s);
    load_keys(&g->t, &b, s, key, width);
    slopes(g, &b, s, key, width);
    add_dkv(g, &b, s, key, width);
  }
}

KERNEL(attentionBackward) {
  backward g = {.t = attention_of(F32(a[3]), F32(a[4]), F32(a[5]), a + 10)};
  const attention *t = &g.t;
  g.dq = F32(a[0]), g.dk = F32(a[1]), g.dv = F32(a[2]);
  g.output = F32(a[6]), g.logSumExp = F32(a[7]), g.dOutput = F32(a[8]);
  buffers s;
  isize each = (place(t, F32(a[9]), &s) + 15) / 16 * 16;
  place(t, F32(a[9]) + w->index * each, &s);

  isize length = SIZE(a[11]) * t->tokenKeys;
  for (isize i, end; team_range(w, length, 65536, &i, &end);)
    for (; i < end; i++) g.dk[i] = g.dv[i] = 0.0f;
  team_barrier(w);

  isize pairs = t->segments * t->kvHeads;
  if (pairs >= 2 * w->count || w->count == 1) {
    for (isize chunk; (chunk = team_next(w, pairs)) >= 0;) whole(&g, chunk / t->kvHeads, chunk % t->kvHeads, &s);
    return;
  }
  isize queryChunks = count_blocks(t), keyChunks = 0;
  for (isize i = 0; i < t->segments; i++) keyChunks += divide_up(SIZE(t->list[4 * i + 3]), KEYS) * t->kvHeads;
  for (isize chunk; (chunk = team_next(w, queryChunks + keyChunks)) >= 0;) {
    if (chunk < queryChunks) {
      queries_only(&g, nth_block(t, chunk), &s);
      continue;
    }
    isize local = chunk - queryChunks, segment = 0;
    for (;; segment++) {
      isize n = divide_up(SIZE(t->list[4 * segment + 3]), KEYS) * t->kvHeads;
      if (local < n) break;
      local -= n;
    }
    keys_only(&g, segment, local / t->kvHeads * KEYS, local % t->kvHeads, &s);
  }
}
