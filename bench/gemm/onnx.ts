/**
 * ONNX models of one node, in Protocol Buffers: no more of the format than that takes.
 * Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
 */
export interface OnnxTensor {
  readonly name: string;
  readonly shape: readonly number[];
  readonly type: 'f32' | 'u8';
  /** A constant of the model; an input without. */
  readonly data?: Uint8Array;
}

export interface OnnxNode {
  readonly op: string;
  readonly domain?: string;
  readonly integers: Readonly<Record<string, number>>;
  readonly inputs: readonly OnnxTensor[];
  /** In f32. */
  readonly output: { readonly name: string; readonly shape: readonly number[] };
}

const dataTypes = { f32: 1, u8: 2 } as const;
/** AttributeProto.AttributeType */
const INT = 2;

export function onnxModel({ op, domain, integers, inputs, output }: OnnxNode): Uint8Array {
  const node = [
    ...inputs.map(({ name }) => text(1, name)),
    text(2, output.name),
    text(4, op),
    ...Object.entries(integers).map(([name, value]) =>
      message(5, [text(1, name), integer(3, value), integer(20, INT)]),
    ),
    ...(domain === undefined ? [] : [text(7, domain)]),
  ];
  const graph = [
    message(1, node),
    text(2, 'product'),
    ...inputs.flatMap(({ name, shape, type, data }) =>
      data === undefined
        ? []
        : [
            message(5, [
              ...shape.map((size) => integer(1, size)),
              integer(2, dataTypes[type]),
              text(8, name),
              bytes(9, data),
            ]),
          ],
    ),
    ...inputs.flatMap((tensor) => (tensor.data === undefined ? [message(11, valueInfo(tensor))] : [])),
    message(12, valueInfo({ ...output, type: 'f32' })),
  ];
  const opsets = [message(8, [text(1, ''), integer(2, 21)])];
  if (domain !== undefined) opsets.push(message(8, [text(1, domain), integer(2, 1)]));
  return joined([integer(1, 10), message(7, graph), ...opsets]);
}

function valueInfo({ name, shape, type }: Omit<OnnxTensor, 'data'>): Uint8Array[] {
  const dimensions = message(
    2,
    shape.map((size) => message(1, [integer(1, size)])),
  );
  return [text(1, name), message(2, [message(1, [integer(1, dataTypes[type]), dimensions])])];
}

function varint(value: number): number[] {
  const result: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) result.push((rest % 128) | 128);
  return [...result, rest];
}

function integer(field: number, value: number): Uint8Array {
  return Uint8Array.from([...varint(field * 8), ...varint(value)]);
}

function bytes(field: number, content: Uint8Array): Uint8Array {
  return joined([Uint8Array.from([...varint(field * 8 + 2), ...varint(content.length)]), content]);
}

function text(field: number, content: string): Uint8Array {
  return bytes(field, new TextEncoder().encode(content));
}

function message(field: number, content: readonly Uint8Array[]): Uint8Array {
  return bytes(field, joined(content));
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const result = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    result.set(part, at);
    at += part.length;
  }
  return result;
}
