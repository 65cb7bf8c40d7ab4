/** The reference passes its own suite: every case can be met, and its bounds hold for a backend of float64. */
import { describe, it } from 'vitest';
import { backendConformance, reference, summary } from '@lowrank/conformance';
import { keepReport } from '@lowrank/conformance/node';

describe('reference', () => {
  backendConformance({ describe, it }, () => reference(), { onReport: keepReport('reference') });
});

describe('reference, primitives only', () => {
  backendConformance({ describe, it }, () => reference({ fused: false, blockFormats: [] }), {
    onReport: (report) => console.log(summary(report)),
  });
});
