export type { WebgpuBackend } from './backend.ts';
export type { Counters } from './device/counters.ts';
export { webgpu } from './webgpu.ts';
export type { WebgpuFeature, WebgpuOptions } from './webgpu.ts';
