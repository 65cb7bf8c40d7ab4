/**
 * Derivatives from values alone, with their own error.
 *
 * The five-point central difference (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h is off by h^4 f^(5) / 30 and by
 * the rounding of f, about 3/2 eps |f| / h; h = eps^(1/5) balances them (Abramowitz & Stegun 25.3.6). The first part is
 * measured: at step 2h it is sixteen times as large, so the difference of the two estimates is fifteen times the error
 * at h. All of that difference is allowed.
 */
export interface Differences {
  readonly gradient: Float64Array;
  /** Bound on the error of each element. */
  readonly error: Float64Array;
}

const epsilon = 2 ** -52;

export async function centralDifferences(
  inputs: readonly Float64Array[],
  which: number,
  loss: (inputs: readonly Float64Array[]) => Promise<number>,
): Promise<Differences> {
  const changed = inputs.map((values) => values.slice());
  const x = changed[which]!;
  const gradient = new Float64Array(x.length);
  const error = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) {
    const at = x[i]!;
    const h = epsilon ** (1 / 5) * Math.max(1, Math.abs(at));
    let size = 0;
    const value = async (steps: number): Promise<number> => {
      x[i] = at + steps * h;
      const result = await loss(changed);
      size = Math.max(size, Math.abs(result));
      return result;
    };
    const [minus4, minus2, minus1] = [await value(-4), await value(-2), await value(-1)];
    const [plus1, plus2, plus4] = [await value(1), await value(2), await value(4)];
    x[i] = at;
    const fine = (8 * (plus1 - minus1) - (plus2 - minus2)) / (12 * h);
    const coarse = (8 * (plus2 - minus2) - (plus4 - minus4)) / (24 * h);
    gradient[i] = fine;
    // The loss is itself a rounded sum: a hundred units in its last place.
    error[i] = Math.abs(fine - coarse) + (100 * epsilon * Math.max(1, size)) / h;
  }
  return { gradient, error };
}
