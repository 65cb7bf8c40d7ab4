export { CliError, type CliErrorCode } from './cli-error.ts';
export { bytesText, countText } from './format.ts';
export { makeReporter, type Reporter } from './reporter.ts';
export { run } from './run.ts';
export { trainProgress, type TrainProgress } from './train-progress.ts';
