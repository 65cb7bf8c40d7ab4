export { reference } from './reference/reference.ts';
export type { ReferenceOptions } from './reference/reference.ts';
