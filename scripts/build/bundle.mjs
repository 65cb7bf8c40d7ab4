import { rolldown } from 'rolldown';

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
    external: /^[^./]/,
    tsconfig: false,
    onLog(level, log) {
      if (level === 'warn') throw new Error(`${log.code}: ${log.message}`);
    },
  });
  try {
    await bundle.write({
      dir: destination,
      format: 'esm',
      chunkFileNames: '[name]-[hash].js',
      comments: { legal: true, annotation: true, jsdoc: false },
      minify: {
        compress: { target: 'es2023' },
        mangle: { toplevel: true, keepNames: { class: true, function: false } },
        codegen: { removeWhitespace: true },
      },
    });
  } finally {
    await bundle.close();
  }
}
