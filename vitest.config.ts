import { defineConfig } from 'vitest/config';

// Tests run on the TypeScript sources: the condition picks each package's `src/index.ts` over its build.
const conditions = ['@lowrank/source'];

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ['packages/*/{src,test}/**/*.test.ts', 'e2e/**/*.test.ts', 'examples/*/**/*.test.ts', 'bench/**/*.test.ts'],
    execArgv: ['--conditions=@lowrank/source'],
    testTimeout: 120_000,
  },
});
