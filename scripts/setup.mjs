// Makes a fresh checkout ready, then runs one of the repository's commands on the Node that the lockfile pins.
//
//   node scripts/setup.mjs --then demo|test|check|bench|tfjs-node [arguments...]
//
// Runs on Node 20 or newer with nothing installed, so it imports only what Node itself brings. What it has to say goes
// to stderr: stdout belongs to the command.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { commands } from './setup/commands.mjs';
import { installPackages, packagesAreInstalled } from './setup/install.mjs';
import { buildKernels } from './setup/kernels.mjs';
import { SetupError, node, root, stage } from './setup/stage.mjs';
import { runInForeground } from './setup/foreground.mjs';

const usage = `Usage: node scripts/setup.mjs --then <command> [arguments...]

Commands (each sets up first what is missing; a second run does not repeat it):
${Object.entries(commands)
  .map(([name, { summary }]) => `  ${name.padEnd(11)}${summary}`)
  .join('\n')}

npm scripts of the same names exist: npm test, npm run demo, npm run check, npm run bench, npm run tfjs-node.
Arguments go behind two dashes: npm run demo -- --help
npm prints two lines of its own on stdout; a program that reads it wants none: npm run --silent demo -- --json
`;

/** @param {string[]} argv */
async function main(argv) {
  if (argv[0] === '--help' || argv[0] === '-h') {
    process.stdout.write(usage);
    return;
  }
  const name = argv[0] === '--then' ? (argv[1] ?? '') : '';
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!command) {
    process.stderr.write(`set-up: unknown command '${argv.join(' ')}'\n${usage}`);
    process.exitCode = 2;
    return;
  }
  const args = argv.slice(2);

  const help = args.includes('--help') || args.includes('-h');
  const usageFile = command.usageFile && join(root, command.usageFile);
  if (help && usageFile && existsSync(usageFile)) {
    process.stdout.write(readFileSync(usageFile, 'utf8'));
    return;
  }

  if (!packagesAreInstalled()) await stage('packages (npm ci)', installPackages);
  if (!help) await stage('kernels', buildKernels);
  process.exitCode = await runInForeground(node(), [...command.run, ...args]);
}

try {
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) {
    throw new SetupError(
      `Node ${process.versions.node} is too old`,
      'Node 20 or newer is needed to set up; the set-up then brings the Node that it works with.',
    );
  }
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`set-up: ${error.message}\n${error.advice}\n`);
  process.exitCode = 1;
}
