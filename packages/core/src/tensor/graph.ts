import type { Tensor } from './tensor.ts';

/**
 * Gradients toward an operation's inputs, from the gradient `dy` toward its result. `needs[i]` says whether input i
 * wants one; entries for others are ignored. Runs in a scope of its own and without recording.
 *
 * `sums[i]`, where there is one, is what has come together toward input i so far, in storage that nobody else holds. A
 * function that can adds its part to it in place, and gives nothing for i.
 */
export type GradientFunction = (
  dy: Tensor,
  saved: readonly Tensor[],
  needs: readonly boolean[],
  sums: readonly (Tensor | undefined)[],
) => (Tensor | undefined)[];

/** Where a gradient goes next: into another operation, or into a trainable tensor. */
export type Edge = GraphNode | Tensor | undefined;

let nextId = 1;

/**
 * One recorded operation. It holds what its gradient needs, never its inputs as such, and lives as long as a tensor
 * or a later operation refers to it.
 */
export class GraphNode {
  /** Ascends in order of recording: a valid topological order. */
  readonly id: number = nextId++;
  readonly op: string;
  readonly edges: readonly Edge[];
  #saved: readonly Tensor[] | undefined;
  #gradient: GradientFunction | undefined;
  #holders = 1;

  constructor(op: string, edges: readonly Edge[], saved: readonly Tensor[], gradient: GradientFunction) {
    this.op = op;
    this.edges = edges;
    this.#saved = saved;
    this.#gradient = gradient;
    for (const edge of edges) if (edge instanceof GraphNode) edge.hold();
  }

  get used(): boolean {
    return this.#gradient === undefined;
  }

  hold(): void {
    this.#holders++;
  }

  /** Lets go of one holder; the last one frees what the node saved, and so on down the graph without recursion. */
  release(): void {
    const pending: GraphNode[] = [this];
    for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
      node.#holders--;
      if (node.#holders > 0) continue;
      node.#drop();
      for (const edge of node.edges) if (edge instanceof GraphNode) pending.push(edge);
    }
  }

  /** Runs the gradient once and frees what was saved for it. */
  backward(dy: Tensor, sums: readonly (Tensor | undefined)[]): (Tensor | undefined)[] {
    const needs = this.edges.map((edge) => edge !== undefined);
    const gradients = this.#gradient!(dy, this.#saved!, needs, sums);
    this.#drop();
    return gradients;
  }

  #drop(): void {
    for (const tensor of this.#saved ?? []) tensor.dispose();
    this.#saved = undefined;
    this.#gradient = undefined;
  }
}
