import type { Attributes, ElementType, EngineTensor, Operands } from './engine.ts';

/** An operand of an operation: a tensor, or host values that become one for the call. */
export type NodeOperand = EngineTensor | { readonly values: Float32Array | Int32Array; readonly shape: number[] };

/** One of libtensorflow's operations: name, operands in order, attributes. */
export interface NodeOp {
  readonly op: string;
  readonly operands: readonly NodeOperand[];
  readonly types?: Readonly<Record<string, ElementType>>;
  readonly flags?: Readonly<Record<string, boolean>>;
  readonly integers?: Readonly<Record<string, number>>;
}

type Named = Readonly<Record<string, EngineTensor>>;
type Translate = (inputs: Named, attributes: Attributes) => NodeOp;

const vector = (values: unknown): NodeOperand => {
  const list = Int32Array.from(values as number[]);
  return { values: list, shape: [list.length] };
};
const scalar = (value: number, dtype: ElementType = 'int32'): NodeOperand => ({
  values: dtype === 'int32' ? Int32Array.of(value) : Float32Array.of(value),
  shape: [],
});

const unary =
  (op: string): Translate =>
  ({ x }) => ({ op, operands: [x!], types: { T: x!.dtype } });

const binary =
  (op: string): Translate =>
  ({ a, b }) => ({ op, operands: [a!, b!], types: { T: a!.dtype } });

const reduction =
  (op: string, axes: string): Translate =>
  ({ x }, attributes) => ({
    op,
    operands: [x!, vector(attributes[axes])],
    types: { T: x!.dtype, Tidx: 'int32' },
    flags: { keep_dims: false },
  });

/** TensorFlow.js's kernels as libtensorflow's operations. */
const translations: Readonly<Record<string, Translate>> = {
  ...Object.fromEntries(['Neg', 'Abs', 'Sign', 'Exp', 'Log', 'Sqrt', 'Tanh', 'Sigmoid'].map((op) => [op, unary(op)])),
  // Its Reciprocal is off by up to 3 units in the last place, a quotient by none.
  Reciprocal: ({ x }) => ({ op: 'RealDiv', operands: [scalar(1, 'float32'), x!], types: { T: x!.dtype } }),
  Softmax: ({ logits }) => ({ op: 'Softmax', operands: [logits!], types: { T: logits!.dtype } }),
  Add: binary('AddV2'),
  Sub: binary('Sub'),
  Multiply: binary('Mul'),
  RealDiv: binary('RealDiv'),
  Maximum: binary('Maximum'),
  Minimum: binary('Minimum'),
  Equal: binary('Equal'),
  NotEqual: binary('NotEqual'),
  Less: binary('Less'),
  LessEqual: binary('LessEqual'),
  Sum: reduction('Sum', 'axis'),
  Max: reduction('Max', 'reductionIndices'),
  Min: reduction('Min', 'axis'),
  Cast: ({ x }, { dtype }) => ({
    op: 'Cast',
    operands: [x!],
    types: { SrcT: x!.dtype, DstT: dtype as ElementType },
    flags: { Truncate: false },
  }),
  Select: ({ condition, t, e }) => ({ op: 'SelectV2', operands: [condition!, t!, e!], types: { T: t!.dtype } }),
  Tile: ({ x }, { reps }) => ({
    op: 'Tile',
    operands: [x!, vector(reps)],
    types: { T: x!.dtype, Tmultiples: 'int32' },
  }),
  Reshape: ({ x }, { shape }) => ({
    op: 'Reshape',
    operands: [x!, vector(shape)],
    types: { T: x!.dtype, Tshape: 'int32' },
  }),
  Transpose: ({ x }, { perm }) => ({
    op: 'Transpose',
    operands: [x!, vector(perm)],
    types: { T: x!.dtype, Tperm: 'int32' },
  }),
  Slice: ({ x }, { begin, size }) => ({
    op: 'Slice',
    operands: [x!, vector(begin), vector(size)],
    types: { T: x!.dtype, Index: 'int32' },
  }),
  GatherV2: ({ x, indices }, { axis }) => ({
    op: 'GatherV2',
    operands: [x!, indices!, scalar(axis as number)],
    types: { Tparams: x!.dtype, Tindices: 'int32', Taxis: 'int32' },
    integers: { batch_dims: 0 },
  }),
  ScatterNd: ({ indices, updates }, { shape }) => ({
    op: 'ScatterNd',
    operands: [indices!, updates!, vector(shape)],
    types: { T: updates!.dtype, Tindices: 'int32' },
  }),
  BatchMatMul: ({ a, b }, { transposeA, transposeB }) => ({
    op: 'BatchMatMulV2',
    operands: [a!, b!],
    types: { T: a!.dtype },
    flags: { adj_x: transposeA as boolean, adj_y: transposeB as boolean },
  }),
  Fill: (_, { shape, value, dtype }) => ({
    op: 'Fill',
    operands: [vector(shape), scalar(value as number, dtype as ElementType)],
    types: { T: dtype as ElementType, index_type: 'int32' },
  }),
};

export function translate(kernel: string, inputs: Operands, attributes: Attributes): NodeOp {
  if (isList(inputs)) {
    return {
      op: 'ConcatV2',
      operands: [...inputs, scalar(attributes['axis'] as number)],
      types: { T: inputs[0]!.dtype, Tidx: 'int32' },
      integers: { N: inputs.length },
    };
  }
  const translation = translations[kernel];
  if (translation === undefined) throw new Error(`no operation of libtensorflow is named for the kernel ${kernel}`);
  return translation(inputs, attributes);
}

function isList(inputs: Operands): inputs is readonly EngineTensor[] {
  return Array.isArray(inputs);
}
