/** The published suites: all kernels against float64, all gradients, the rules of storage and order, core's operations. */
import { webgpu } from '@lowrank/backend-webgpu';
import { backendConformance } from '@lowrank/conformance';
import { keepReport } from '@lowrank/conformance/node';
import { describe, it } from 'vitest';

backendConformance({ describe, it }, () => webgpu(), { onReport: keepReport('webgpu') });
