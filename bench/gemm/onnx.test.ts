import ort from 'onnxruntime-web';
import { expect, it } from 'vitest';
import { onnxModel } from './onnx.ts';

it('ONNX Runtime runs a model that is written here', async () => {
  const b = Float32Array.of(1, 2, 3, 4, 5, 6);
  const model = onnxModel({
    op: 'Gemm',
    integers: { transA: 0, transB: 1 },
    inputs: [
      { name: 'a', type: 'f32', shape: [1, 3] },
      { name: 'b', type: 'f32', shape: [2, 3], data: new Uint8Array(b.buffer) },
    ],
    output: { name: 'y', shape: [1, 2] },
  });
  ort.env.wasm.numThreads = 1;
  const session = await ort.InferenceSession.create(model);
  const { y } = await session.run({ a: new ort.Tensor('float32', Float32Array.of(1, 10, 100), [1, 3]) });
  expect([...(y!.data as Float32Array)]).toEqual([321, 654]);
});
