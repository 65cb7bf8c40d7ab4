export { EMBEDDED_MODEL_NAME, embeddedModel } from './embedded-model.ts';
export { embeddedModelUrl } from '../embedded-model-url.ts';
