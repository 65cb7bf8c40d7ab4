export { CliError, type CliErrorCode } from './cli-error.ts';
export { run } from './run.ts';
