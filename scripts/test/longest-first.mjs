import { relative, sep } from 'node:path';
import { BaseSequencer } from 'vitest/node';

/** What takes the longest, in that order: begun last, one of these would keep one core busy while the other waits. */
const longest = [
  'e2e/demo',
  'e2e/drift',
  'e2e/browser',
  'packages/backend-webgpu/test/conformance',
  'e2e/backends',
  'packages/conformance/test/mutations',
  'packages/backend-cpu/test/conformance',
  'packages/backend-tfjs/test/conformance',
  'e2e/published',
  'e2e/resume',
  'e2e/llama-cpp',
  'packages/conformance/test/command',
  'examples/orders',
];

/** Without durations of an earlier run, vitest begins with the largest files, which says nothing of time. */
export class LongestFirst extends BaseSequencer {
  /** @override @param {import('vitest/node').TestSpecification[]} files */
  async sort(files) {
    const root = this.ctx.config.root;
    /** @param {import('vitest/node').TestSpecification} file */
    const rank = ({ moduleId }) => {
      const path = relative(root, moduleId).split(sep).join('/');
      const at = longest.findIndex((prefix) => path.startsWith(prefix));
      return at < 0 ? longest.length : at;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}
