/** ONNX models as bytes: as much of onnx.proto as these tests need. */
import protobuf from 'protobufjs';

// Names and numbers are onnx.proto's; see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
const { root } = protobuf.parse(
  `syntax = "proto3";
  message ModelProto { int64 ir_version = 1; repeated OperatorSetIdProto opset_import = 8; GraphProto graph = 7; }
  message OperatorSetIdProto { string domain = 1; int64 version = 2; }
  message GraphProto {
    repeated NodeProto node = 1; string name = 2; repeated TensorProto initializer = 5;
    repeated ValueInfoProto input = 11; repeated ValueInfoProto output = 12;
  }
  message NodeProto {
    repeated string input = 1; repeated string output = 2; string op_type = 4;
    repeated AttributeProto attribute = 5; string domain = 7;
  }
  message AttributeProto {
    string name = 1; float f = 2; int64 i = 3; bytes s = 4; TensorProto t = 5; repeated int64 ints = 8; int32 type = 20;
  }
  message TensorProto { repeated int64 dims = 1; int32 data_type = 2; string name = 8; bytes raw_data = 9; }
  message ValueInfoProto { string name = 1; TypeProto type = 2; }
  message TypeProto {
    message Tensor { int32 elem_type = 1; TensorShapeProto shape = 2; }
    Tensor tensor_type = 1;
  }
  message TensorShapeProto { message Dimension { int64 dim_value = 1; } repeated Dimension dim = 1; }`,
  { keepCase: true },
);
const ModelProto = root.lookupType('ModelProto');

const elementTypes = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  bfloat16: 16,
  uint4: 21,
};
export type ElementType = keyof typeof elementTypes;
type Attribute = number | string | readonly number[] | { readonly float: number };

export interface Initializer {
  readonly type: ElementType;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A graph under construction: values are known by their names. */
export class Graph {
  private readonly nodes: object[] = [];
  private readonly inputs: object[] = [];
  private readonly initializers: object[] = [];
  private readonly outputs: object[] = [];
  private count = 0;

  input(name: string, type: ElementType, shape: readonly number[]): string {
    this.inputs.push(valueInfo(name, type, shape));
    return name;
  }

  constant({ type, shape, bytes }: Initializer): string {
    const name = this.fresh();
    this.initializers.push({ name, data_type: elementTypes[type], dims: shape, raw_data: bytes });
    return name;
  }

  floats(values: ArrayLike<number>, shape: readonly number[] = [values.length]): string {
    return this.constant({ type: 'float32', shape, bytes: bytesOf(Float32Array.from(values)) });
  }

  int64s(values: readonly number[], shape: readonly number[] = [values.length]): string {
    return this.constant({ type: 'int64', shape, bytes: bytesOf(BigInt64Array.from(values, BigInt)) });
  }

  node(
    op: string,
    inputs: readonly string[],
    attributes: Readonly<Record<string, Attribute>> = {},
    domain = '',
  ): string {
    const output = this.fresh();
    const attribute = Object.entries(attributes).map(([name, value]) => ({ name, ...attributeValue(value) }));
    this.nodes.push({ op_type: op, input: inputs, output: [output], attribute, domain });
    return output;
  }

  cast(x: string, to: ElementType): string {
    return this.node('Cast', [x], { to: elementTypes[to] });
  }

  reshape(x: string, shape: readonly number[]): string {
    return this.node('Reshape', [x, this.int64s(shape)], { allowzero: 1 });
  }

  output(name: string, type: ElementType, shape: readonly number[]): string {
    const output = this.fresh();
    this.nodes.push({ op_type: 'Identity', input: [name], output: [output] });
    this.outputs.push(valueInfo(output, type, shape));
    return output;
  }

  bytes(): Uint8Array {
    const graph = {
      name: 'case',
      node: this.nodes,
      input: this.inputs,
      output: this.outputs,
      initializer: this.initializers,
    };
    // Operator set 23 has RMSNormalization, RotaryEmbedding and Attention.
    return ModelProto.encode({ ir_version: 11, opset_import: [{ domain: '', version: 23 }], graph }).finish();
  }

  private fresh(): string {
    return `v${this.count++}`;
  }
}

export function bytesOf(data: ArrayBufferView): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

function valueInfo(name: string, type: ElementType, shape: readonly number[]): object {
  const dim = shape.map((length) => ({ dim_value: length }));
  return { name, type: { tensor_type: { elem_type: elementTypes[type], shape: { dim } } } };
}

/** Numbers of AttributeProto.AttributeType. */
function attributeValue(value: Attribute): object {
  if (typeof value === 'number') return { i: value, type: 2 };
  if (typeof value === 'string') return { s: new TextEncoder().encode(value), type: 3 };
  if ('float' in value) return { f: value.float, type: 1 };
  return { ints: value, type: 7 };
}
