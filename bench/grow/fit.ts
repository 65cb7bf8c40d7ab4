/**
 * The exponent p of y = c x^p by least squares of the logarithms; undefined for fewer than two sizes.
 */
export function exponent(points: readonly (readonly [x: number, y: number])[]): number | undefined {
  const logs = points.map(([x, y]) => [Math.log(x), Math.log(y)] as const);
  const meanX = mean(logs.map(([x]) => x));
  const meanY = mean(logs.map(([, y]) => y));
  const above = mean(logs.map(([x, y]) => (x - meanX) * (y - meanY)));
  const below = mean(logs.map(([x]) => (x - meanX) ** 2));
  return below === 0 || points.length < 2 ? undefined : above / below;
}

/**
 * How much of y at the largest x is the quadratic term of y = a x + b x^2 (attention's), by least squares of relative errors, b not
 * below 0: minimizes the sum of (1 - a u - b v)^2 with u = x / y, v = x^2 / y.
 */
export function quadraticTerm(points: readonly (readonly [x: number, y: number])[]): { a: number; b: number } {
  const rows = points.map(([x, y]) => [x / y, (x * x) / y] as const);
  const sum = (of: (row: readonly [number, number]) => number): number =>
    rows.reduce((total, row) => total + of(row), 0);
  const [uu, uv, vv] = [sum(([u]) => u * u), sum(([u, v]) => u * v), sum(([, v]) => v * v)];
  const [u1, v1] = [sum(([u]) => u), sum(([, v]) => v)];
  const determinant = uu * vv - uv * uv;
  const b = determinant === 0 ? 0 : (uu * v1 - uv * u1) / determinant;
  return b <= 0 ? { a: u1 / uu, b: 0 } : { a: (u1 - b * uv) / uu, b };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
