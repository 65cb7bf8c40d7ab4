/** Models and adapters for tests, freed after each of them. */
import { cpu } from '@lowrank/backend-cpu';
import { reference } from '@lowrank/conformance';
import {
  gather,
  noGrad,
  RandomStream,
  scope,
  tensor,
  type Backend,
  type HostArray,
  type HostState,
  type InjectedAdapter,
} from '@lowrank/core';
import { openGguf, type GgufFile } from '@lowrank/io-gguf';
import { loadCausalLm, sequenceBatch, type CausalLm } from '../../src/causal-lm/index.ts';
import { embeddedModel } from '../../src/embedded/index.ts';

export interface Opened extends AsyncDisposable {
  readonly backend: Backend;
  readonly model: CausalLm;
  readonly file: GgufFile;
}

/** A model on a backend of its own: the float64 reference, or the native CPU engine on one thread. */
export async function open(file: GgufFile, on: 'reference' | 'cpu'): Promise<Opened> {
  const backend = on === 'cpu' ? await cpu({ engine: 'native', threads: 1 }) : await reference();
  const model = await loadCausalLm(file, backend);
  return {
    backend,
    model,
    file,
    async [Symbol.asyncDispose]() {
      model.dispose();
      await backend.dispose();
      await file.close();
    },
  };
}

/** The embedded model on the native CPU engine. */
export async function openNames(): Promise<Opened> {
  return open(await openGguf(await embeddedModel()), 'cpu');
}

/** Logits behind every token of a sequence, from a pass over all of it: [tokens][vocabulary]. */
export async function logitsOf(model: CausalLm, ids: Int32Array): Promise<Float64Array[]> {
  const all = tensor(
    model.backend,
    Int32Array.from(ids, (_, row) => row),
    [ids.length],
  );
  const logits = scope(() => noGrad(() => model.logits(gather(model.hidden(sequenceBatch([ids])), all))));
  all.dispose();
  const values = Float64Array.from(await logits.data());
  logits.dispose();
  const width = model.config.vocabularySize;
  return Array.from(ids, (_, row) => values.slice(row * width, (row + 1) * width));
}

/** Replaces an adapter's tensors, B's zeros too, by random ones: an adapter as if trained. */
export async function stir(injected: InjectedAdapter, std = 0.2): Promise<void> {
  const random = new RandomStream(21, 'stir');
  const stirred = ({ format, shape, data }: HostArray): HostArray => ({
    format,
    shape,
    data: random.normal(data.length, std),
  });
  const states = await injected.hostStates();
  const entries = Array.from(states, ([path, { params, buffers }]): [string, HostState] => [
    path,
    { params: Object.fromEntries(Object.entries(params).map(([name, array]) => [name, stirred(array)])), buffers },
  ]);
  injected.load(new Map(entries));
}
