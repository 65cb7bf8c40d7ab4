/** WGSL that writes an element of a product's result. */

/** @param adds to what is there. */
export function put(adds: boolean, operand: string, at: string, value: string): string {
  return `store_${operand}(${at}, ${adds ? `load_${operand}(${at}) + ` : ''}${value})`;
}
