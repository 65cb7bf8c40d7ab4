import type { OperandType, ParameterType, Program } from '../device/program.ts';
import type { Vector } from '../wgsl/functions.ts';

const workgroup = 256;

/** What one invocation does with its element (or vector of four) `i`; `Element` is the type of either. */
export interface Elementwise {
  readonly name: string;
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  readonly parameters?: Readonly<Record<string, ParameterType>>;
  readonly declarations?: (type: Vector) => string;
  readonly body: string;
}

/** How to run it on `length` elements: four an invocation where they are whole vectors. */
export interface ElementwiseCall {
  readonly program: Program;
  readonly parameters: { readonly length: number };
  readonly workgroups: number;
}

/** Both programs of an elementwise kernel, and the choice between them. */
export function elementwise(kernel: Elementwise): (length: number) => ElementwiseCall {
  const [scalars, vectors] = [programOf(kernel, 'f32'), programOf(kernel, 'vec4f')];
  return (elements) => {
    const vector = elements % 4 === 0;
    const length = vector ? elements / 4 : elements;
    return {
      program: vector ? vectors : scalars,
      parameters: { length },
      workgroups: Math.ceil(length / workgroup),
    };
  };
}

function programOf(kernel: Elementwise, type: Vector): Program {
  const { name, reads, writes, parameters, declarations, body } = kernel;
  const operands: Record<string, OperandType> = {};
  for (const operand of reads) operands[operand] = `read ${type}`;
  for (const operand of writes) operands[operand] = `write ${type}`;
  return {
    name,
    operands,
    parameters: { length: 'u32', ...parameters },
    workgroup,
    declarations: `alias Element = ${type};\n${declarations?.(type) ?? ''}`,
    body: /* wgsl */ `
  let i = group * ${workgroup}u + local;
  if (i >= p.length) { return; }${body}`,
  };
}
