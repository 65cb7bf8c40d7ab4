export { keepReport, reportFolder } from './keep-report.ts';
export type { KeptReport } from './keep-report.ts';
export { run } from './run.ts';
