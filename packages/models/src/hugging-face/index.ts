export { openHfFolder, type HfFolder } from './hf-folder.ts';
