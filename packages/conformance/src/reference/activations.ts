/** SiLU (Elfwing et al. 2017, arXiv 1702.03118) and SwiGLU (Shazeer 2020, arXiv 2002.05202). */

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** x sigmoid(x), written x / (1 + exp(-x)). */
function siluAt(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** d silu / dx = s + x s (1 - s), with s = sigmoid(x) and 1 - s = sigmoid(-x) without cancellation. */
function siluSlope(x: number): number {
  const s = sigmoid(x);
  return s + x * s * sigmoid(-x);
}

export function silu(x: Float64Array): Float64Array {
  return x.map(siluAt);
}

export function siluBackward(x: Float64Array, dy: Float64Array): Float64Array {
  return x.map((value, i) => siluSlope(value) * dy[i]!);
}

export function swiglu(gate: Float64Array, up: Float64Array): Float64Array {
  return gate.map((value, i) => siluAt(value) * up[i]!);
}

export function swigluBackward(
  gate: Float64Array,
  up: Float64Array,
  dy: Float64Array,
): { dGate: Float64Array; dUp: Float64Array } {
  return {
    dGate: gate.map((value, i) => siluSlope(value) * up[i]! * dy[i]!),
    dUp: gate.map((value, i) => siluAt(value) * dy[i]!),
  };
}
