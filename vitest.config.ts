import { defineConfig } from 'vitest/config';
import { softwareVulkanEnvironment } from './scripts/setup/software-vulkan.mjs';
import { LongestFirst } from './scripts/test/longest-first.mjs';

// Tests run on the TypeScript sources: the condition picks each package's `src/index.ts` over its build.
const conditions = ['@lowrank/source', 'module', 'node', 'development|production'];

// Where there is no GPU, the processes that run the tests inherit a WebGPU device in software.
Object.assign(process.env, softwareVulkanEnvironment());

export default defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: ['@lowrank/source', 'node'] } },
  test: {
    include: [
      'packages/*/{src,test}/**/*.test.ts',
      'e2e/**/*.test.ts',
      'examples/*/**/*.test.ts',
      'bench/**/*.test.ts',
    ],
    execArgv: ['--conditions=@lowrank/source'],
    // Each file in a process of its own, since native threads and open devices die with it; two, for engines use threads too.
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 600_000,
    hookTimeout: 600_000,
  },
});
