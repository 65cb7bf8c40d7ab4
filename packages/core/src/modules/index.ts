export { Adaptable } from './adaptable.ts';
export { AdapterSlot } from './adapter-slot.ts';
export { Embedding } from './embedding.ts';
export { FrozenWeight } from './frozen-weight.ts';
export { adapterSites, inject, InjectedAdapter, type InjectOptions } from './inject.ts';
export { Linear, linear, type WeightSource } from './linear.ts';
export { inference, Module, ModuleList, type ForwardPass, type Weight } from './module.ts';
export { RmsNorm } from './rms-norm.ts';
