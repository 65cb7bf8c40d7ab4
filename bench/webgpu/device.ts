import { webgpu, type Counters, type WebgpuBackend } from '@lowrank/backend-webgpu';
import { preloadSoftwareVulkan } from '../../scripts/setup/software-vulkan.mjs';
import type { Figure } from '../report.ts';

/** The machine's GPU, or WebGPU in software where there is none. */
export async function openWebgpu(): Promise<WebgpuBackend> {
  preloadSoftwareVulkan();
  return webgpu();
}

type Total = Exclude<keyof Counters, 'dispatchesByKernel'>;

const units: Readonly<Record<Total, string>> = {
  dispatches: '',
  submits: '',
  copies: '',
  uploadedBytes: 'bytes',
  readBytes: 'bytes',
  buffersCreated: '',
  buffersReused: '',
  buffersDestroyed: '',
  pipelinesCreated: '',
  bindGroupsCreated: '',
};

/** What was asked of the device between two moments, one figure each; and the dispatches of each kernel. */
export function countFigures(common: Pick<Figure, 'name' | 'subject'>, from: Counters, to: Counters): Figure[] {
  const totals = (Object.keys(units) as Total[]).map((name): Figure => {
    return { ...common, case: name, value: to[name] - from[name], unit: units[name], ratio: null };
  });
  const dispatches = to.dispatches - from.dispatches;
  const kernels = Object.entries(to.dispatchesByKernel)
    .map(([kernel, count]): [string, number] => [kernel, count - (from.dispatchesByKernel[kernel] ?? 0)])
    .filter(([, count]) => count > 0)
    .toSorted(([, a], [, b]) => b - a)
    .map(([kernel, count]): Figure => {
      return { ...common, case: `dispatches of ${kernel}`, value: count, unit: '', ratio: count / dispatches };
    });
  return [...totals, ...kernels];
}
