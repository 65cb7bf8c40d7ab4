import { expect, test } from 'vitest';
import { reference } from '@lowrank/conformance';
test('x', async () => {
  const b = await reference();
  const a = b.upload(new Float32Array(300*300).fill(0.5),'f32');
  const t = performance.now();
  let c; for (let i=0;i<10;i++) c = b.kernels.matmul(a,a,{batch:1,m:300,n:300,k:300,transposeA:false,transposeB:i%2===0,batchA:false,batchB:false});
  console.log((performance.now()-t), 10*2*300**3/1e6/(performance.now()-t), 'GFLOPS');
  expect((await b.read(c!))[0]).toBe(75);
});
