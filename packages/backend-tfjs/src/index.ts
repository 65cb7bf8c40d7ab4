export type { TfjsBackend } from './backend.ts';
export type { EngineName } from './engines/engine.ts';
export { tfjs } from './tfjs.ts';
export type { TfjsOptions } from './tfjs.ts';
