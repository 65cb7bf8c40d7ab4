// Installs tfjs-node, which the tests of the TensorFlow.js backend run on, apart from the root's dependencies.
//
//   npm run tfjs-node
import { SetupError } from '../setup/stage.mjs';
import { installTfjsNode } from './install.mjs';
import { tfjsNode } from './place.mjs';

try {
  await installTfjsNode((message) => process.stderr.write(`tfjs-node: ${message}\n`));
  process.stdout.write(`${tfjsNode}\n`);
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  process.stderr.write(`${error.message}\n${error.advice}\n`);
  process.exitCode = 1;
}
