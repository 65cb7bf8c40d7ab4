/** WGSL that writes a product's result. */

/** An element. @param adds to what is there. */
export function put(adds: boolean, operand: string, at: string, value: string): string {
  return `store_${operand}(${at}, ${adds ? `load_${operand}(${at}) + ` : ''}${value})`;
}

/** Of the vector `value` what lies in the row of p.n elements, whose element `column` is at i. */
export function putFour(adds: boolean, operand: string): string {
  return `${put(adds, operand, 'i', 'value.x')};
  if (column + 1u < p.n) { ${put(adds, operand, 'i + 1u', 'value.y')}; }
  if (column + 2u < p.n) { ${put(adds, operand, 'i + 2u', 'value.z')}; }
  if (column + 3u < p.n) { ${put(adds, operand, 'i + 3u', 'value.w')}; }`;
}
