import { CoreError } from '../errors/core-error.ts';
import { GraphNode } from './graph.ts';
import { keep, scope, withRecording } from './scope.ts';
import { shapeText } from './shape.ts';
import { commonBackend, filled, fromStorage, requireSameShape, type Tensor } from './tensor.ts';

/**
 * Back-propagates from `root`, adding to `grad` of every trainable tensor it depends on. Frees the graph as it goes.
 * @param seed the gradient toward `root`; 1 for a single element.
 * @throws CoreError CORE_NO_GRADIENT when nothing trainable is behind `root`, or the graph was used before.
 */
export function backward(root: Tensor, seed?: Tensor): void {
  if (!root.requiresGrad) {
    throw new CoreError(
      'CORE_NO_GRADIENT',
      'backward: nothing trainable is behind this tensor; is every weight frozen, or was it made without recording?',
    );
  }
  if (seed === undefined && root.size !== 1) {
    throw new CoreError(
      'CORE_SHAPE',
      `backward: the tensor has shape ${shapeText(root.shape)}; give the gradient toward it as \`seed\``,
      { value: root.shape },
    );
  }
  if (seed !== undefined) {
    commonBackend('backward', [root, seed]);
    requireSameShape('backward', root, seed);
  }
  const { backend } = root;
  withRecording(false, () =>
    scope(() => {
      const start = seed?.detach() ?? filled(backend, 1, root.shape);
      if (root.node === undefined) {
        addToLeaf(root, start);
      } else {
        run(root.node, start);
      }
      return undefined;
    }),
  );
}

/** Runs in backward's scope, which owns what is pending: a failure leaves nothing behind. */
function run(root: GraphNode, seed: Tensor): void {
  const order = reachable(root).toSorted((a, b) => b.id - a.id);
  const pending = new Map<GraphNode, Tensor>([[root, seed]]);
  for (const node of order) {
    const dy = pending.get(node);
    if (dy === undefined) continue;
    pending.delete(node);
    if (node.used) {
      throw new CoreError(
        'CORE_NO_GRADIENT',
        `backward: the graph behind '${node.op}' was already used; run the forward pass again`,
      );
    }
    const sums = node.edges.map((edge) => {
      const sum = edge instanceof GraphNode ? pending.get(edge) : edge?.grad;
      return sum?.exclusive === true ? sum : undefined;
    });
    const gradients = scope(() => node.backward(dy, sums));
    node.edges.forEach((edge, i) => {
      const gradient = gradients[i];
      if (edge === undefined || gradient === undefined) return;
      if (edge instanceof GraphNode) {
        const sum = pending.get(edge);
        pending.set(edge, sum === undefined ? gradient.detach() : add(sum, gradient));
      } else {
        addToLeaf(edge, gradient);
      }
    });
    for (const gradient of new Set(gradients)) gradient?.dispose();
    dy.dispose();
  }
}

function reachable(root: GraphNode): GraphNode[] {
  const seen = new Set<GraphNode>([root]);
  for (const node of seen) {
    for (const edge of node.edges) if (edge instanceof GraphNode) seen.add(edge);
  }
  return [...seen];
}

/** sum + gradient, in place where nobody else holds the sum. Takes over `sum`. */
function add(sum: Tensor, gradient: Tensor): Tensor {
  const { kernels } = sum.backend;
  if (sum.exclusive) {
    kernels.accumulate(sum.storage, gradient.storage, sum.size);
    return sum;
  }
  const storage = kernels.binary('add', sum.storage, sum.shape, gradient.storage, gradient.shape);
  sum.dispose();
  return fromStorage(gradient.backend, storage, gradient.shape, 'f32');
}

function addToLeaf(leaf: Tensor, gradient: Tensor): void {
  if (leaf.grad === undefined) {
    leaf.grad = keep(gradient.exclusive ? gradient.detach() : copy(gradient));
  } else {
    leaf.backend.kernels.accumulate(leaf.grad.storage, gradient.storage, gradient.size);
  }
}

/** A leaf's gradient is changed in place later, so it must not share storage. */
function copy(tensor: Tensor): Tensor {
  const { backend, size } = tensor;
  return fromStorage(backend, backend.kernels.slice(tensor.storage, [size], [0], [size]), tensor.shape, 'f32');
}
