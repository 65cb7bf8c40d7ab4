import { BACKEND_INTERFACE_VERSION, fusedKernelNames, primitiveNames } from '@lowrank/core';
import { demand } from '../conformance-error.ts';
import { productFormats } from './product-operands.ts';
import type { Rule } from './rules.ts';

/** What core counts on before it calls anything. */
export const manifestRules: readonly Rule[] = [
  {
    name: `carries interfaceVersion ${BACKEND_INTERFACE_VERSION} and a name`,
    async run(backend) {
      const { interfaceVersion, name } = backend;
      demand(
        interfaceVersion === BACKEND_INTERFACE_VERSION,
        `interfaceVersion is ${interfaceVersion}`,
        interfaceVersion,
      );
      demand(typeof name === 'string' && name.length > 0, 'name must be a text', name);
    },
  },
  {
    name: 'says all of what it supports',
    async run(backend) {
      const { supports } = backend;
      demand(
        supports.precision === 'f32' || supports.precision === 'f64',
        'supports.precision is f32 or f64',
        supports.precision,
      );
      for (const key of ['fusedMultiplyAdd', 'deterministic', 'nonFinite'] as const) {
        demand(typeof supports[key] === 'boolean', `supports.${key} is a boolean`, supports[key]);
      }
      demand(
        supports.productOperands === undefined || supports.productOperands in productFormats,
        `supports.productOperands is ${Object.keys(productFormats).join(' or ')}, or absent`,
        supports.productOperands,
      );
      demand(supports.maxStorageBytes > 0, 'supports.maxStorageBytes is a positive number', supports.maxStorageBytes);
      const takesBlocks = supports.blockFormats.length > 0;
      demand(
        !takesBlocks || backend.uploadBlocks !== undefined,
        'uploadBlocks is present where supports.blockFormats names any',
      );
    },
  },
  {
    name: 'multiplies with the block formats it names',
    excuse: ({ supports }) => (supports.blockFormats.length === 0 ? 'supports.blockFormats is empty' : undefined),
    async run({ kernels }) {
      for (const name of ['matmulQuantized', 'gatherQuantized'] as const) {
        demand(typeof kernels[name] === 'function', `kernels.${name} is present where supports.blockFormats names any`);
      }
    },
  },
  {
    name: 'has every primitive',
    async run({ kernels }) {
      const missing = primitiveNames.filter((name) => typeof kernels[name] !== 'function');
      demand(missing.length === 0, `kernels lacks ${missing.join(', ')}`, missing);
    },
  },
  {
    name: 'has only kernels that the interface names',
    async run({ kernels }) {
      const known = new Set<string>([...primitiveNames, ...fusedKernelNames]);
      const others = Object.keys(kernels).filter((name) => !known.has(name));
      demand(others.length === 0, `kernels has ${others.join(', ')}, which core never calls`, others);
    },
  },
];
