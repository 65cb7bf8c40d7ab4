import type { Adapter, GgufPair, HostArray, Site } from '@lowrank/core';
import type { GgufFile } from '@lowrank/io-gguf';
import { modulePath } from '../architectures/names.ts';
import { ModelsError } from '../models-error.ts';
import { sitesOf, type Base } from './base.ts';
import { fromPairs } from './gguf-adapter.ts';
import type { HostAdapter } from './host-adapter.ts';
import type { RowOrder } from './row-order.ts';

/** What a zerfoo file does not say. */
export interface ZerfooOptions {
  /**
   * The module that each of its layers is: a Hugging Face path (`model.layers.0.self_attn.q_proj`) or a GGUF's tensor name
   * (`blk.0.attn_q`). `{n}` stands for a number on both sides. Names that are one of those themselves need no entry.
   */
  readonly layerNames?: Readonly<Record<string, string>>;
  /** In which order its base held the rows of q and k. Default 'gguf', for zerfoo trains on GGUFs. */
  readonly rowOrder?: RowOrder;
}

/** Whether an open GGUF is an adapter as zerfoo writes it. */
export function isZerfoo({ metadata }: GgufFile): boolean {
  const architecture = metadata.get('general.architecture');
  return architecture?.value === 'lora' || (metadata.has('lora.rank') && metadata.has('lora.alpha'));
}

/**
 * Reads a zerfoo adapter in either of its variants, `lora.{layer}.weight_a` or `lora_a.{layer}`.
 * @param adapter the plugin that takes low-rank pairs.
 * @throws ModelsError MODELS_ADAPTER that names file and tensor; GgufError when the file is damaged.
 */
export async function readZerfooAdapter(
  path: string,
  file: GgufFile,
  base: Base,
  adapter: Adapter,
  { layerNames = {}, rowOrder = 'gguf' }: ZerfooOptions = {},
): Promise<HostAdapter> {
  const { metadata } = file;
  const fail = (why: string, value: unknown): never => {
    throw new ModelsError('MODELS_ADAPTER', `${path}: ${why}`, { value });
  };
  const rank = metadata.integer('lora.rank', undefined);
  const alpha = metadata.number('lora.alpha', undefined);
  if (rank === undefined || rank < 1) return fail(`lora.rank is ${rank ?? 'missing'}; it is 1 or more`, rank);
  if (alpha === undefined || !(alpha > 0 && alpha < Infinity)) {
    return fail(`lora.alpha is ${alpha ?? 'missing'}; it is a number above 0`, alpha);
  }
  const halves = sortTensors(path, file);
  const sites = new Map(sitesOf(base).map((site) => [site.path, site]));
  const pairs = new Map<string, GgufPair>();
  for (const [layer, names] of halves) {
    const site = siteOf(path, layer, layerNames, base, sites);
    if (pairs.has(site.path)) fail(`two of its layers are ${site.path}, ${layer} the second`, layer);
    const half = async (name: string | undefined, letter: string, shape: readonly number[]): Promise<HostArray> => {
      if (name === undefined) return fail(`layer ${layer} has no ${letter}; half of a pair is missing`, layer);
      const found = file.tensors.get(name)!.shape;
      if (found.join() === shape.join()) return file.read(name);
      return fail(
        `the tensor ${name} has shape [${found.join(', ')}]; lora.rank and the base's ${site.path} ask for [${shape.join(', ')}]`,
        found,
      );
    };
    pairs.set(site.path, {
      alpha,
      a: await half(names.a, 'A', [rank, site.inFeatures]),
      b: await half(names.b, 'B', [site.outFeatures, rank]),
    });
  }
  if (pairs.size === 0) fail('it has no tensors, so it changes nothing', undefined);
  return fromPairs(path, pairs, sites, adapter, rowOrder);
}

interface Halves {
  a?: string;
  b?: string;
}

/** The tensors' names by layer. */
function sortTensors(path: string, file: GgufFile): Map<string, Halves> {
  const layers = new Map<string, Halves>();
  for (const name of file.tensors.keys()) {
    const match =
      /^lora\.(?<layer>.+)\.weight_(?<half>[ab])$/s.exec(name) ?? /^lora_(?<half>[ab])\.(?<layer>.+)$/s.exec(name);
    const { layer, half } = (match?.groups ?? {}) as { layer?: string; half?: 'a' | 'b' };
    if (layer === undefined || half === undefined) {
      throw new ModelsError('MODELS_ADAPTER', `${path}: the tensor ${name} belongs to no adapter of zerfoo's`, {
        value: name,
      });
    }
    const halves = layers.get(layer) ?? {};
    if (halves[half] !== undefined) {
      throw new ModelsError('MODELS_ADAPTER', `${path}: the tensor ${name} is there twice, as ${halves[half]} too`, {
        value: name,
      });
    }
    layers.set(layer, { ...halves, [half]: name });
  }
  return layers;
}

function siteOf(
  path: string,
  layer: string,
  layerNames: Readonly<Record<string, string>>,
  { config }: Base,
  sites: ReadonlyMap<string, Site>,
): Site {
  const named = mapped(layer, layerNames);
  const bare = (named ?? layer).replace(/\.weight$/, '');
  const site = sites.get(bare) ?? sites.get(modulePath(config.architecture, bare) ?? '');
  if (site !== undefined && site.kind === 'linear') return site;
  const is =
    named === undefined
      ? 'and nothing says which module it is; map it with --layer-names'
      : `which the layer names map to ${named}, and the model has no such linear layer`;
  throw new ModelsError(
    'MODELS_ADAPTER',
    `${path} adapts a layer named ${layer}, ${is}; modules are named as in model.layers.0.self_attn.q_proj or blk.0.attn_q`,
    { value: layer },
  );
}

/** What a table makes of a name: its own entry, or that of a pattern with one `{n}`. */
function mapped(name: string, table: Readonly<Record<string, string>>): string | undefined {
  if (Object.hasOwn(table, name)) return table[name];
  for (const [pattern, target] of Object.entries(table)) {
    const [before, after, ...more] = pattern.split('{n}');
    if (after === undefined || more.length > 0) continue;
    const number = name.slice(before!.length, name.length - after.length);
    if (name.startsWith(before!) && name.endsWith(after) && /^\d+$/.test(number)) return target.replace('{n}', number);
  }
  return undefined;
}
