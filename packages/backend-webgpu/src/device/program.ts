/**
 * A compute program as data, and the WGSL that is made of it.
 *
 * A program names its operands and parameters; the declarations, the entry point and the folding of long grids are generated around
 * its body:
 *
 * - `const NAME = value;` for each constant of the call (abstract numbers, or bool);
 * - `p.NAME` for each parameter;
 * - for each operand `x` of element type T the array `x: array<T>`, and the functions `load_x(i: u32) -> T` and, where it is
 *   written, `store_x(i: u32, value: T)`. A storage larger than one binding may be is bound in windows, of which only the functions
 *   know: operands that can get so large (weights, tables, logits) go through the functions. Where a program says `x[...]`, storage of
 *   more than one window is refused;
 * - in `body`, which is the inside of `fn main`: `group: u32`, the workgroup's number, and `local: u32`, the invocation's number in
 *   it. `group` is uniform, so barriers are allowed below conditions on it.
 */

/** Element types of operands; vectors view the same memory, and need sizes of whole vectors. */
export type ElementType = 'f32' | 'i32' | 'u32' | 'vec2f' | 'vec4f' | 'vec2u' | 'vec4u';

export type OperandType = `${'read' | 'write'} ${ElementType}`;

export type ParameterType = 'u32' | 'i32' | 'f32';

export type Constants = Readonly<Record<string, number | boolean>>;

/** Made once, at module level (or memoized): pipelines are cached by the object and the constants of the call. */
export interface Program {
  /** The kernel's name, which errors carry. */
  readonly name: string;
  /** In the order of their bindings. What is written may be read as well. */
  readonly operands: Readonly<Record<string, OperandType>>;
  readonly parameters: Readonly<Record<string, ParameterType>>;
  /** Invocations of a workgroup; at most 256. */
  readonly workgroup: number;
  /** Functions and `var<workgroup>` of the program. Workgroup memory holds anything at first. */
  readonly declarations?: string;
  readonly body: string;
  /** WGSL extensions: `f16`. */
  readonly enable?: readonly string[];
}

/** How an operand is bound: one window, or several of `elements` elements each. */
export interface Windows {
  readonly count: number;
  readonly elements: number;
}

export const elementBytes: Readonly<Record<ElementType, number>> = {
  f32: 4,
  i32: 4,
  u32: 4,
  vec2f: 8,
  vec2u: 8,
  vec4f: 16,
  vec4u: 16,
};

/** The last parameter: how many workgroups there are, since a folded grid has more. */
const groups = 'groups_';

export function parameterTypes(program: Program): [name: string, type: ParameterType][] {
  return [...Object.entries(program.parameters), [groups, 'u32']];
}

export function isWritten(type: OperandType): boolean {
  return type.startsWith('write');
}

export function elementOf(type: OperandType): ElementType {
  return type.slice(type.indexOf(' ') + 1) as ElementType;
}

/** Whether the program reads and writes the operand through the functions alone, so that it may have several windows. */
export function takesWindows(program: Program, operand: string): boolean {
  const source = `${program.declarations ?? ''}${program.body}`;
  return !new RegExp(`(?<![\\w.])${operand}\\s*\\[|&\\s*${operand}\\b`).test(source);
}

/** The whole module. `windows` has an entry for each operand, in order. */
export function wgslOf(program: Program, constants: Constants, windows: readonly Windows[]): string {
  const lines: string[] = [];
  for (const extension of program.enable ?? []) lines.push(`enable ${extension};`);
  for (const [name, value] of Object.entries(constants)) lines.push(`const ${name} = ${String(value)};`);
  const fields = parameterTypes(program).map(([name, type]) => `${name}: ${type}`);
  lines.push(`struct Parameters { ${fields.join(', ')} }`);
  let binding = 0;
  for (const [index, [name, type]] of Object.entries(program.operands).entries()) {
    const { count, elements } = windows[index]!;
    const access = isWritten(type) ? 'read_write' : 'read';
    const element = elementOf(type);
    const arrays = Array.from({ length: count }, (_, window) => (count === 1 ? name : `${name}_${window}`));
    for (const array of arrays) {
      lines.push(`@group(0) @binding(${binding++}) var<storage, ${access}> ${array}: array<${element}>;`);
    }
    const last = arrays.length - 1;
    const pick = (use: (place: string) => string): string =>
      arrays
        .map((array, window) => {
          const place = window === 0 ? `${array}[i]` : `${array}[i - ${window * elements}u]`;
          return window === last ? use(place) : `if (i < ${(window + 1) * elements}u) { ${use(place)} } else {`;
        })
        .join(' ') + ' }'.repeat(last);
    lines.push(
      `fn load_${name}(i: u32) -> ${element} { var value: ${element}; ${pick((at) => `value = ${at};`)} return value; }`,
    );
    if (!isWritten(type)) continue;
    lines.push(`fn store_${name}(i: u32, value: ${element}) { ${pick((at) => `${at} = value;`)} }`);
  }
  lines.push(`@group(0) @binding(${binding}) var<uniform> p: Parameters;`);
  if (program.declarations !== undefined) lines.push(program.declarations);
  lines.push(
    `@compute @workgroup_size(${program.workgroup})`,
    'fn main(@builtin(workgroup_id) workgroup_: vec3u, @builtin(num_workgroups) grid_: vec3u, @builtin(local_invocation_index) local: u32) {',
    '  let group = workgroup_.y * grid_.x + workgroup_.x;',
    `  if (group >= p.${groups}) { return; }`,
    program.body,
    '}',
  );
  return lines.join('\n');
}
