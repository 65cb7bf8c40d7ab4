import { rolldown } from 'rolldown';

const target = 'es2023';

/**
 * A package's modules as few minified ones, in `destination` itself: a file for each entry, and others for what is imported
 * dynamically or by several entries. Other packages stay imports. Classes keep their names, which error messages tell.
 *
 * @param {Record<string, string>} input sources by the names of what is made of them
 * @param {string} destination
 */
export async function bundle(input, destination) {
  const bundle = await rolldown({
    input,
    // Nothing of Node's or a browser's own: `node:` imports stay as they are.
    platform: 'neutral',
    // Packages and Node's modules: all that are no files. What stands in for newer syntax begins with a zero and is no package.
    external: /^(?!@oxc-project\/runtime)[@a-z]/,
    tsconfig: false,
    // What the oldest Node that the packages promise can read: `using` is newer.
    transform: { target },
    onLog(level, log) {
      if (level === 'warn') throw new Error(`${log.code}: ${log.message}`);
    },
  });
  try {
    await bundle.write({
      dir: destination,
      format: 'esm',
      // No hash: a build brought back from turbo's cache replaces the one before, file by file.
      chunkFileNames: '[name].js',
      comments: { legal: true, annotation: true, jsdoc: false },
      minify: {
        compress: { target },
        mangle: { toplevel: true, keepNames: { class: true, function: false } },
        codegen: { removeWhitespace: true },
      },
    });
  } finally {
    await bundle.close();
  }
}
