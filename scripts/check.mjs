// Everything that can be said of the sources without running them, and of the packages that are made of them.
// Each step is a program of its own; all run, the failed ones show what they printed.
import { steps } from './check/steps.mjs';
import { collect } from './setup/stage.mjs';

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !steps.some((step) => step.name === name));
if (unknown.length > 0) {
  process.stderr.write(
    `check: unknown step ${unknown.join(', ')}; there are ${steps.map(({ name }) => name).join(', ')}\n`,
  );
  process.exit(2);
}

const failed = [];
const chosen = steps.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
for (const step of chosen) {
  const start = performance.now();
  const { code, output } = await collect(process.execPath, step.args);
  const seconds = `${((performance.now() - start) / 1000).toFixed(1)} s`;
  process.stdout.write(
    `${code === 0 ? 'ok    ' : 'FAILED'} ${step.name.padEnd(10)} ${seconds.padStart(7)}  ${step.says}\n`,
  );
  if (code !== 0) {
    failed.push(step.name);
    process.stdout.write(`${output.trim()}\n\n`);
  }
}
process.stdout.write(`check: ${chosen.length - failed.length} passed, ${failed.length} failed\n`);
process.exitCode = failed.length > 0 ? 1 : 0;
