import { installTfjsNode } from '../../scripts/tfjs-node/install.mjs';
import { folder as tfjsNodeFolder } from '../../scripts/tfjs-node/place.mjs';
import { npmPeers } from '../peers/npm/install.ts';
import { program, Subject, type Start } from '../process/subject.ts';

/** Whose place an engine of ours would take. */
export type Kind = 'native' | 'wasm';

export interface Peer {
  readonly subject: Subject;
  readonly kind: Kind;
}

interface Recipe {
  readonly kind: Kind;
  /** On more than one thread it does not run in Node. */
  readonly oneThread?: true;
  start(threads: number): Promise<Start>;
}

const recipes: Readonly<Record<string, Recipe>> = {
  'onnxruntime-node': {
    kind: 'native',
    start: async (threads) =>
      program(import.meta.url, 'peer-onnx.ts', [await npmPeers(), 'onnxruntime-node', `${threads}`]),
  },
  'tfjs-node': {
    kind: 'native',
    async start(threads) {
      await installTfjsNode((message) => process.stderr.write(`bench: tfjs-node: ${message}\n`));
      const env = {
        TF_CPP_MIN_LOG_LEVEL: '3',
        TF_NUM_INTRAOP_THREADS: `${threads}`,
        TF_NUM_INTEROP_THREADS: '1',
        OMP_NUM_THREADS: `${threads}`,
      };
      return { ...program(import.meta.url, 'peer-tfjs.ts', [tfjsNodeFolder, 'node']), env };
    },
  },
  'onnxruntime-web': {
    kind: 'wasm',
    oneThread: true,
    start: async () => program(import.meta.url, 'peer-onnx.ts', [await npmPeers(), 'onnxruntime-web', '1']),
  },
  'tfjs-wasm': {
    kind: 'wasm',
    oneThread: true,
    start: async () => program(import.meta.url, 'peer-tfjs.ts', [await npmPeers(), 'wasm']),
  },
  'jax-js': {
    kind: 'wasm',
    oneThread: true,
    start: async () => program(import.meta.url, 'peer-jax-js.ts', [await npmPeers()]),
  },
};

export const peerNames: readonly string[] = Object.keys(recipes);

/** Starts peers; one that does not run here is left out, and stderr says so. */
export async function startPeers(names: readonly string[], threads: number): Promise<Peer[]> {
  const peers: Peer[] = [];
  for (const name of names) {
    const recipe = recipes[name]!;
    if (recipe.oneThread === true && threads > 1) continue;
    try {
      peers.push({ subject: await Subject.start(name, await recipe.start(threads)), kind: recipe.kind });
    } catch (error) {
      process.stderr.write(`bench: ${name} is left out: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  return peers;
}
