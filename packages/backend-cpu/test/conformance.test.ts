/** The published suite over every engine: all kernels against float64, all gradients, the rules of storage and order. */
import { backendConformance, summary } from '@lowrank/conformance';
import { keepReport } from '@lowrank/conformance/node';
import { cpu } from '@lowrank/backend-cpu';
import { BackendError } from '@lowrank/core';
import { describe, expect, it } from 'vitest';

const engines = ['native', 'wasm', 'wasm-baseline', 'wasm-unshared'] as const;

describe.each(engines)('%s', (engine) => {
  backendConformance({ describe, it }, () => cpu({ engine, threads: 2 }), { onReport: keepReport(`cpu:${engine}`) });
});

/** Of `cpu({ productOperands: 'bf16' })` on a machine without such instructions, what it says. */
async function refusal(): Promise<BackendError | undefined> {
  try {
    await (await cpu({ productOperands: 'bf16', threads: 1 })).dispose();
    return undefined;
  } catch (error) {
    if (error instanceof BackendError) return error;
    throw error;
  }
}

const refused = await refusal();
if (refused === undefined) {
  describe('native, products of bf16', () => {
    backendConformance({ describe, it }, () => cpu({ productOperands: 'bf16', threads: 2 }), {
      onReport: (report) => console.log(summary(report)),
    });
  });
} else {
  console.warn(`products of bf16 are refused here, and not judged: ${refused.message}`);
  it('products of bf16 are refused where there are no instructions for them', () => {
    expect(refused).toMatchObject({
      code: 'BACKEND_NOT_AVAILABLE',
      message: expect.stringMatching(/bf16|native engine/),
    });
  });
}
