export { architectures, type Architecture } from './architecture.ts';
export { ggufName, modulePath } from './names.ts';
