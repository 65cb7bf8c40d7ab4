import { describe, expect, it } from 'vitest';
import { dora, doraAdapter } from '@lowrank/adapter-dora';

const { gguf, peft } = doraAdapter.files;
if ('unsupported' in peft) throw new Error('DoRA has a PEFT form');
const site = { path: 'model.layers.0.self_attn.q_proj', inFeatures: 3, outFeatures: 2 };

describe('GGUF', () => {
  it('has no form for it, and says why', () => {
    expect(gguf).toEqual({ unsupported: expect.stringContaining('low-rank') });
  });
});

describe('PEFT', () => {
  const written = peft.toConfig(dora({ rank: 4, alpha: 12, useRslora: true }).config);

  it('is LoRA’s with use_dora, and brings the configuration back', () => {
    expect(written).toMatchObject({ peft_type: 'LORA', r: 4, lora_alpha: 12, use_rslora: true, use_dora: true });
    expect(peft.fromConfig(written)).toEqual(dora({ rank: 4, alpha: 12, useRslora: true }).config);
  });

  it('names the magnitude beside A and B', () => {
    expect(peft.tensorNames({ ...site, kind: 'linear' })).toEqual({
      A: 'lora_A.weight',
      B: 'lora_B.weight',
      magnitude: 'lora_magnitude_vector',
    });
    expect(peft.tensorNames({ ...site, kind: 'embedding' })).toEqual({
      A: 'lora_embedding_A',
      B: 'lora_embedding_B',
      magnitude: 'lora_magnitude_vector',
    });
  });

  it.each([undefined, false, null, 'yes'])('is not read as DoRA where use_dora is %j', (value) => {
    expect(() => peft.fromConfig({ ...written, use_dora: value })).toThrow(
      expect.objectContaining({ code: 'ADAPTER_UNSUPPORTED', path: 'use_dora', value }),
    );
  });

  it.each([
    ['lora_bias', true, 'ADAPTER_UNSUPPORTED'],
    ['init_lora_weights', 'pissa_niter_4', 'ADAPTER_UNSUPPORTED'],
    ['use_next_years_dora', true, 'ADAPTER_CONFIG'],
  ])('refuses %s = %j', (key, value, code) => {
    expect(() => peft.fromConfig({ ...written, [key]: value })).toThrow(
      expect.objectContaining({ code, path: key, value, message: expect.stringMatching(/^dora: /) }),
    );
  });
});
