/**
 * What combining does to several adapters' numbers: TIES (Yadav et al. 2023, arXiv 2306.01708), DARE (Yu et al. 2023, arXiv
 * 2311.03099) and pruning by magnitude, each on arrays of one length, in float64.
 */

/** Zeroes all but the floor(density * n) numbers of largest magnitude; of equals the first stay. */
export function keepLargest(values: Float64Array, density: number): Float64Array {
  if (density >= 1) return values;
  const count = Math.floor(density * values.length);
  const order = Array.from(values.keys()).toSorted((i, j) => Math.abs(values[j]!) - Math.abs(values[i]!) || i - j);
  const kept = new Float64Array(values.length);
  for (const at of order.slice(0, count)) kept[at] = values[at]!;
  return kept;
}

/** DARE: what the mask drops is 0, the rest divided by the density, so that the expected value stays. */
export function dropAndRescale(values: Float64Array, density: number, keep: ArrayLike<number>): Float64Array {
  if (density >= 1) return values;
  return values.map((value, i) => (keep[i] === 0 ? 0 : value / density));
}

/** sum w_t x_t. */
export function weightedSum(tasks: readonly Float64Array[], weights: readonly number[]): Float64Array {
  const sum = new Float64Array(tasks[0]!.length);
  for (const [t, task] of tasks.entries()) {
    const weight = weights[t]!;
    for (let i = 0; i < sum.length; i++) sum[i] = sum[i]! + weight * task[i]!;
  }
  return sum;
}

/**
 * TIES' election and disjoint mean: of each element's numbers those of the majority's sign, weighted, summed, over how many they are.
 * @param majority by `'total'` of the numbers, or `'frequency'` of their signs; a tie is positive.
 */
export function disjointMean(
  tasks: readonly Float64Array[],
  weights: readonly number[],
  majority: 'total' | 'frequency',
): Float64Array {
  return tasks[0]!.map((_, i) => {
    let balance = 0;
    for (const task of tasks) balance += majority === 'total' ? task[i]! : Math.sign(task[i]!);
    const elected = balance >= 0 ? 1 : -1;
    let sum = 0;
    let count = 0;
    for (const [t, task] of tasks.entries()) {
      if (Math.sign(task[i]!) !== elected) continue;
      sum += weights[t]! * task[i]!;
      count++;
    }
    return sum / Math.max(count, 1);
  });
}
