/* Attention forward: softmax(q k^T scale) v with the running maximum and sum of FlashAttention-2's algorithm 1. */
#include "attention.h"

typedef struct buffers {
  float *gathered, *queries, *keys, *scores, *weights, *values, *output, *maximum, *sum;
} buffers;

/* As src/kernels/attention.ts counts them. */
INLINE buffers buffers_of(const attention *t, float *p) {
  isize panel = t->rows + MR;
  buffers b;
  b.gathered = p, p += t->rows * t->headSize;
  b.queries = p, p += panel * t->headSize;
  b.keys = p, p += KEYS * t->headSize;
  b.scores = p, p += t->rows * KEYS;
  b.weights = p, p += panel * KEYS;
  b.values = p, p += KEYS * (t->headSize + NR);
  b.output = p, p += t->rows * t->headSize;
  b.maximum = p, p += t->rows;
  b.sum = p;
  return b;
}

/* Turns a row of scores into exp(score - maximum), rescales what was summed so far. */
static void weigh(const attention *t, buffers *s, isize r, isize n, isize width) {
  float *x = s->scores + r * KEYS;
  f32x16 scale = set16(t->scale), most = set16(-__builtin_inff());
  for (isize i = 0; i < n; i += 16) {
    f32x16 v = load16(x + i) * scale;
    if (n - i < 16) v = keep16(v, n - i, -__builtin_inff());
    store16(x + i, v);
    most = max16(v, most);
  }
  float old = s->maximum[r], new = smax(old, max_of16(most));
  f32x16 sum = set16(0.0f);
  isize i = 0;
  if (new != -__builtin_inff())
    for (; i < n; i += 16) {
      f32x16 e = exp16(load16(x + i) - set16(new));
      store16(x + i, e);
      sum += e;
    }
  for (; i < width; i += 16) store16(x + i, set16(0.0f));
  if (new == old || new == -__builtin_inff()) {
    s->sum[r] += sum16(sum);
  } else {
    float factor = exp16(set16(old - new))[0];
    s->sum[r] = s->sum[r] * factor + sum16(sum);
    for (isize j = 0; j < t->headSize; j++) s->output[r * t->headSize + j] *= factor;
  }
  s->maximum[r] = new;
}

static void forward(const attention *t, query_block b, buffers s, float *output, float *logSumExp) {
  isize d = t->headSize;
  gather_rows(t, &b, t->q, s.gathered);
  pack_a(s.queries, (matrix){s.gathered, d, 1}, b.rows, d);
  for (isize r = 0; r < b.rows; r++) s.maximum[r] = -__builtin_inff(), s.sum[r] = 0.0f;
  for (isize i = 0; i < b.rows * d; i++) s.output[i] = 0.0f;
  for (isize key = 0; key < b.keys; key += KEYS) {
    isize width = min_size(KEYS, b.keys - key);
    pack_b(s.keys, flip(keys_at(t, &b, t->k, key)), d, width);
    multiply(s.queries, 0, s.keys, d * NR, NR, s.scores, KEYS, b.rows, width, d, 1);
    FOR_BLOCK_ROWS(t, &b, r, h, i) weigh(t, &s, r, seen(&b, i, key, width), width);
    pack_a(s.weights, (matrix){s.scores, KEYS, 1}, b.rows, width);
    multiply_rows(t, s.weights, keys_at(t, &b, t->v, key), s.values, s.output, d, b.rows, width, 0);
  }
  FOR_BLOCK_ROWS(t, &b, r, h, i) {
    float *y = output + row_offset(t, &b, h, i);
    float sum = s.sum[r];
    for (isize j = 0; j < d; j += 16) {
      isize n = min16(d - j);
      f32x16 v = load16_first(s.output + r * d + j, n, 0.0f) / set16(sum);
      store16_first(y + j, sum == 0.0f ? set16(0.0f) : v, n);
    }
    logSumExp[row_index(t, &b, h, i)] = s.maximum[r] + log16(set16(sum))[0];
  }
}

KERNEL(attention) {
  attention t = attention_of(F32(a[2]), F32(a[3]), F32(a[4]), a + 6);
  isize chunks = count_blocks(&t);
  isize panel = t.rows + MR;
  isize each = (2 * t.rows + panel + KEYS) * t.headSize + (t.rows + panel + NR + t.headSize) * KEYS + 2 * t.rows;
  buffers s = buffers_of(&t, F32(a[5]) + w->index * ((each + 15) / 16 * 16));
  for (isize chunk; (chunk = team_next(w, chunks)) >= 0;)
    forward(&t, nth_block(&t, chunk), s, F32(a[0]), F32(a[1]));
}
