import type { Architecture } from './architecture.ts';

const layerNumber = /(?<=^|\.)\d+(?=\.)/;

/** A module's tensor name in the GGUF, without `.weight`: `model.layers.3.mlp.up_proj` to `blk.3.ffn_up`. */
export function ggufName(architecture: Architecture, path: string): string | undefined {
  return translate(path, Object.entries(architecture.tensors));
}

/** The module a GGUF tensor belongs to: `blk.3.ffn_up` to `model.layers.3.mlp.up_proj`. */
export function modulePath(architecture: Architecture, name: string): string | undefined {
  return translate(
    name,
    Object.entries(architecture.tensors).map(([path, tensor]) => [tensor, path]),
  );
}

function translate(name: string, table: readonly (readonly [string, string])[]): string | undefined {
  const number = layerNumber.exec(name)?.[0];
  const pattern = name.replace(layerNumber, '{n}');
  const found = table.find(([from]) => from === pattern)?.[1];
  if (found?.includes('{n}') !== (number !== undefined)) return undefined;
  return found.replace('{n}', number ?? '');
}
