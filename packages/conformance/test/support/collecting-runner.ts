import type { Runner } from '@lowrank/conformance';

export interface Collected {
  readonly path: readonly string[];
  readonly run: () => Promise<void>;
}

/** A runner that only notes what is defined, with the names around it. */
export function collectingRunner(): { runner: Runner; tests: Collected[] } {
  const path: string[] = [];
  const tests: Collected[] = [];
  return {
    tests,
    runner: {
      describe(name, body) {
        path.push(name);
        body();
        path.pop();
      },
      it: (name, run) => void tests.push({ path: [...path, name], run }),
    },
  };
}
