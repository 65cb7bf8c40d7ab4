export type { CpuBackend } from './backend.ts';
export { cpu } from './cpu.ts';
export type { CpuOptions } from './cpu.ts';
