export { sitesOf, type Base } from './base.ts';
export { checkFinite } from './check-finite.ts';
export { readGgufAdapter, writeGgufAdapter } from './gguf-adapter.ts';
export type { HostAdapter } from './host-adapter.ts';
export { adapterFromModel, putOnModel, type LoadAdapterOptions } from './on-model.ts';
export {
  adapterKind,
  loadAdapter,
  readAdapter,
  type AdapterFileKind,
  type ReadAdapterOptions,
} from './read-adapter.ts';
export { readPeftFolder } from './read-peft.ts';
export type { RowOrder } from './row-order.ts';
export { adapterTarget, checkWritable, writeAdapter, type AdapterTarget } from './write-adapter.ts';
export { writePeftFolder, type WritePeftOptions } from './write-peft.ts';
export type { ZerfooOptions } from './zerfoo-adapter.ts';
