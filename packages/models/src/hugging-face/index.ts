export { openHfFolder, type HfFolder } from './hf-folder.ts';
export { chatTemplateFromFolder, tokenizerFromFolder } from './tokenizer-folder.ts';
