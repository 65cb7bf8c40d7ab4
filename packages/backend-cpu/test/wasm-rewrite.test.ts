import { expect, it } from 'vitest';
import { wasmBytes } from '../src/engines/wasm-bytes.ts';
import { rewrite } from '../src/engines/wasm-rewrite.ts';
import { webAssembly, type WasmMemory } from '../src/engines/webassembly.ts';

type Call = (...args: number[]) => number;
const { Instance } = webAssembly as unknown as {
  Instance: new (module: object, imports: object) => { readonly exports: { readonly f: Call } };
};

/** f(x, y, z: f32): lane 0 of f32x4.relaxed_madd of their splats; has a local more and imports shared memory. */
const fused = Uint8Array.from(
  [
    [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    [1, 8, 1, 0x60, 3, 0x7d, 0x7d, 0x7d, 1, 0x7d],
    [2, 9, 1, 1, 0x65, 1, 0x6d, 2, 3, 1, 1],
    [3, 2, 1, 0],
    [7, 5, 1, 1, 0x66, 0, 0],
    [10, 24, 1, 22, 1, 1, 0x7d],
    [0x20, 0, 0xfd, 0x13, 0x20, 1, 0xfd, 0x13, 0x20, 2, 0xfd, 0x13, 0xfd, 0x85, 0x02, 0xfd, 0x1f, 0, 0x0b],
  ].flat(),
);

async function run(module: Uint8Array, memory: WasmMemory, ...args: number[]): Promise<number> {
  return new Instance(await webAssembly.compile(module), { e: { m: memory } }).exports.f(...args);
}

const shared = new webAssembly.Memory({ initial: 1, maximum: 1, shared: true });
const unshared = new webAssembly.Memory({ initial: 1, maximum: 1, shared: false });

it('rounds the product as well as the sum', async () => {
  const x = 1 + 2 ** -12;
  // x x = 1 + 2^-11 + 2^-24, which ends with bit 24 and is rounded to bit 23.
  expect(await run(rewrite(fused, { unfused: true, unshared: false }), shared, x, x, -1)).toBe(2 ** -11);
});

it('takes memory that is not shared', async () => {
  await expect(run(fused, unshared, 1, 2, 3)).rejects.toThrow('shared');
  expect(await run(fused, shared, 1, 2, 3)).toBe(5);
  for (const unfused of [false, true]) {
    expect(await run(rewrite(fused, { unfused, unshared: true }), unshared, 1, 2, 3)).toBe(5);
  }
});

it('changes nothing where nothing is to be changed', async () => {
  const module = await wasmBytes('relaxed');
  expect(Buffer.compare(rewrite(module, { unfused: false, unshared: false }), module)).toBe(0);
});

it('tells what it cannot read', () => {
  const unknown = fused.slice();
  unknown[unknown.indexOf(0x20, 50)] = 0x06;
  expect(() => rewrite(unknown, { unfused: true, unshared: false })).toThrow('unknown instruction 6');
});
