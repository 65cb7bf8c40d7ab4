import { tfjs, type TfjsBackend, type TfjsOptions } from '@lowrank/backend-tfjs';
import { tfjsNode } from '../../../scripts/tfjs-node/place.mjs';

/** The engines that run in Node. */
export const engines: readonly ('node' | 'wasm' | 'cpu')[] = ['node', 'wasm', 'cpu'];

// Else libtensorflow tells on stderr which instructions it uses.
process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '3';

/** Where `npm run tfjs-node` has put it. */
export const path: string = process.env['LOWRANK_TFJS_NODE'] ?? tfjsNode;

export function start(engine: TfjsOptions['engine']): Promise<TfjsBackend> {
  return tfjs({ engine, path });
}
