export { EMBEDDED_MODEL_NAME, embeddedModel, embeddedModelUrl } from './embedded-model.ts';
