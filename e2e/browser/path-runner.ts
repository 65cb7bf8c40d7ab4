import type { Runner } from '@lowrank/conformance';

/**
 * A runner that hands each test to `define` by its path, the titles of the blocks around it and its own: the suite
 * defines the same tests in the test's process, which names them, and in the page, which runs them.
 */
export function pathRunner(
  describe: Runner['describe'],
  define: (path: readonly string[], body: () => Promise<void>) => void,
): Runner {
  let outside: readonly string[] = [];
  return {
    describe(title, body) {
      const inside = [...outside, title];
      // Runners may call it later.
      describe(title, () => {
        const before = outside;
        outside = inside;
        body();
        outside = before;
      });
    },
    it: (title, body) => define([...outside, title], body),
  };
}
