import { stage } from '../setup/stage.mjs';
import { installTfjsNode, isInstalled } from '../tfjs-node/install.mjs';
import { tfjsNode } from '../tfjs-node/place.mjs';

/** Where the tests' processes find tfjs-node. */
export function nameTfjsNode() {
  process.env['LOWRANK_TFJS_NODE'] ??= tfjsNode;
  // Else libtensorflow tells which instructions it uses.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '3';
}

/** Brings tfjs-node into the cache. Without it the suite fails: an engine that is skipped proves nothing. */
export async function installForTests() {
  if (isInstalled() || process.env['LOWRANK_TFJS_NODE'] !== tfjsNode) return;
  await stage('tfjs-node', () => installTfjsNode((message) => process.stderr.write(`tfjs-node: ${message}\n`)));
}
