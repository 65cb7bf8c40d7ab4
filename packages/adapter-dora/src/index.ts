export { BuiltDora, type BuildOptions } from './build.ts';
export { doraScale, type DoraConfig, type DoraInit, type DoraOptions } from './config.ts';
export type { DoraTensors } from './delta.ts';
export { doraAdapter } from './dora-adapter.ts';
export { dora, type Dora } from './dora.ts';
export { WrappedDora, type DoraLayerOptions } from './wrap.ts';
