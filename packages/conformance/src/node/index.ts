export { keepReport, reportFolder, writeReport } from './keep-report.ts';
export { run } from './run.ts';
