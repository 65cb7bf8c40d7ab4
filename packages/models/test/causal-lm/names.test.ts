import { adapterSites } from '@lowrank/core';
import { expect, it } from 'vitest';
import { architectures, ggufName, modulePath } from '../../src/architectures/index.ts';
import { open } from '../support/open.ts';
import { tinyLlama } from '../support/tiny-llama.ts';

it('every module with a weight has its tensor in the file, under names that translate both ways', async () => {
  await using opened = await open(await tinyLlama({ layers: 11, tied: false }), 'reference');
  const { model, file } = opened;
  const { architecture } = model.config;
  const paths = Array.from(model.allWeights(), ([path]) => path.replace(/\.weight$/, ''));
  const names = paths.map((path) => ggufName(architecture, path));
  expect(new Set(names.map((name) => `${name}.weight`))).toEqual(new Set(file.tensors.keys()));
  expect(names.map((name) => modulePath(architecture, name!))).toEqual(paths);
  for (const { path } of adapterSites(model)) expect(paths).toContain(path);
});

it.each([
  ['model.layers.10.self_attn.q_proj', 'blk.10.attn_q'],
  ['model.embed_tokens', 'token_embd'],
  ['lm_head', 'output'],
])('%s is %s', (path, name) => {
  const llama = architectures.get('llama')!;
  expect(ggufName(llama, path)).toBe(name);
  expect(modulePath(llama, name)).toBe(path);
});

it.each(['blk.x.attn_q', 'blk.{n}.attn_q', 'blk.1.attn', 'toString', ''])("'%s' is no tensor of a llama's", (name) => {
  expect(modulePath(architectures.get('llama')!, name)).toBeUndefined();
});
