import { SetupError, collect, node } from './stage.mjs';

/** The C kernels as WebAssembly and native addons. The script compares hashes and returns at once when all is there. */
export async function buildKernels() {
  const { code, output } = await collect(node(), ['packages/backend-cpu/scripts/build-kernels.mjs']);
  if (code === 0) return;
  throw new SetupError(
    `the kernels were not built\n${output.trim()}`,
    'Run the same command again; if it fails the same way, please report it with the lines above.',
  );
}
