import { cases, describe, prepare } from '../gemm.ts';
import { median, print, type Figure } from '../report.ts';
import { openWebgpu } from './device.ts';

const rounds = 5;

export interface WebgpuGemmOptions {
  readonly filter: string;
  readonly json: boolean;
}

/** Matrix products on WebGPU: their speed, and how many dispatches each takes. A software device says nothing of a GPU's speed. */
export async function webgpuGemm({ filter, json }: WebgpuGemmOptions): Promise<void> {
  await using backend = await openWebgpu();
  for (const product of cases.filter((candidate) => describe(candidate).includes(filter))) {
    const run = prepare(backend, product);
    run();
    await backend.sync();
    const before = backend.counters();
    const speeds: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const begin = performance.now();
      const operations = run();
      await backend.sync();
      speeds.push((operations / (performance.now() - begin)) * 1000);
    }
    const dispatches = (backend.counters().dispatches - before.dispatches) / rounds;
    const common = { name: 'gemm', subject: `webgpu, ${backend.device}`, ratio: null };
    const name = describe(product);
    const figures: Figure[] = [
      { ...common, case: name, value: median(speeds) / 1e9, unit: 'GFLOP/s' },
      { ...common, case: `${name}, dispatches`, value: dispatches, unit: '' },
    ];
    print(figures, json);
  }
}
