import type { Adapter, Site } from '@lowrank/core';

/** What PEFT puts before a module's path in the names of tensors. */
export const peftPrefix = 'base_model.model.';

export type PeftForm = Exclude<Adapter['files']['peft'], { unsupported: string }>;

/** Where a tensor of a PEFT file belongs. */
export interface PeftKey {
  readonly site: Site;
  /** The adapter's name for it: `A`. */
  readonly param: string;
}

/** The names of all tensors that an adapter could have on these sites. */
export function peftKeys(form: PeftForm, sites: readonly Site[]): ReadonlyMap<string, PeftKey> {
  return new Map(
    sites.flatMap((site) =>
      Object.entries(form.tensorNames(site)).map(([param, suffix]) => [
        `${peftPrefix}${site.path}.${suffix}`,
        { site, param },
      ]),
    ),
  );
}

/** The name as this PEFT writes it: others give magnitudes a `.weight`. */
export function canonicalKey(key: string): string {
  return key.replace(/\.lora_magnitude_vector\.weight$/, '.lora_magnitude_vector');
}

/** Copies of the base that PEFT adds where embeddings are adapted: not the adapter's. */
export function isBaseCopy(key: string): boolean {
  return key.endsWith('.base_layer.weight');
}
