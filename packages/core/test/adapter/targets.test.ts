import {
  AdapterError,
  joinLowRankConfigs,
  lowRankAt,
  parseLowRankConfig,
  patternValue,
  selectTargets,
  type Site,
} from '@lowrank/core';
import { describe, expect, it } from 'vitest';

const modules = ['self_attn.q_proj', 'self_attn.k_proj', 'mlp.gate_proj'];
const sites: Site[] = [
  ...['model.layers', 'vision.blocks'].flatMap((list) =>
    [0, 1, 10].flatMap((layer) => modules.map((name) => `${list}.${layer}.${name}`)),
  ),
  'lm_head',
].map((path) => ({ kind: 'linear', path, inFeatures: 4, outFeatures: 4 }));

describe('layers to transform', () => {
  const chosen = (options: object): string[] =>
    selectTargets(sites, parseLowRankConfig('lora', { targetModules: ['q_proj'], ...options })).map(({ path }) => path);

  it('are counted by the number behind any list, or behind those named', () => {
    expect(chosen({ layersToTransform: 1 })).toEqual([
      'model.layers.1.self_attn.q_proj',
      'vision.blocks.1.self_attn.q_proj',
    ]);
    expect(chosen({ layersToTransform: [10, 0], layersPattern: 'layers' })).toEqual([
      'model.layers.0.self_attn.q_proj',
      'model.layers.10.self_attn.q_proj',
    ]);
    expect(chosen({ layersToTransform: [1], layersPattern: ['h', 'blocks'] })).toEqual([
      'vision.blocks.1.self_attn.q_proj',
    ]);
  });

  it('do not hold for a module that is named by its whole path, as in PEFT', () => {
    expect(chosen({ targetModules: ['q_proj', 'lm_head'], layersToTransform: [1], layersPattern: 'layers' })).toEqual([
      'model.layers.1.self_attn.q_proj',
      'lm_head',
    ]);
  });

  it('that are not there are an error', () => {
    expect(() => chosen({ layersToTransform: [7] })).toThrow(
      expect.objectContaining({
        code: 'CORE_NO_TARGET',
        message: expect.stringContaining('in the layers 7') as string,
      }),
    );
  });

  it.each([
    [{ layersToTransform: [-1] }, 'layersToTransform[0]'],
    [{ layersToTransform: [0, 1.5] }, 'layersToTransform[1]'],
    [{ layersToTransform: '1' }, 'layersToTransform'],
    [{ layersToTransform: [1], targetModules: 'all-linear' }, 'layersToTransform'],
    [{ layersToTransform: [1], targetModules: '.*q_proj' }, 'layersToTransform'],
    [{ layersPattern: ['layers'] }, 'layersPattern'],
    [{ layersToTransform: [1], layersPattern: ['('] }, 'layersPattern[0]'],
    [{ modulesToSave: [''] }, 'modulesToSave[0]'],
    [{ modulesToSave: 3 }, 'modulesToSave'],
    [{ bias: true }, 'bias'],
    [{ rankPattern: { q_proj: 0 } }, 'rankPattern["q_proj"]'],
    [{ rankPattern: { '(': 2 } }, 'rankPattern["("]'],
    [{ rankPattern: [2] }, 'rankPattern'],
    [{ alphaPattern: { q_proj: -1 } }, 'alphaPattern["q_proj"]'],
    [{ init: 'orthogonal', rankPattern: { q_proj: 3 } }, 'rankPattern["q_proj"]'],
  ])('%j is refused, naming %s', (options, path) => {
    expect(() => parseLowRankConfig('lora', options)).toThrow(
      expect.objectContaining({ code: 'ADAPTER_CONFIG', path }),
    );
  });
});

describe('patterns', () => {
  // As PEFT has it: re.match(rf"(.*\.)?({key})$", path), the first key that matches.
  it.each([
    ['q_proj', 'model.layers.1.self_attn.q_proj', true],
    ['proj', 'model.layers.1.self_attn.q_proj', false],
    ['.*proj', 'model.layers.1.self_attn.q_proj', true],
    ['self_attn.q_proj', 'model.layers.1.self_attn.q_proj', true],
    ['self_attn', 'model.layers.1.self_attn.q_proj', false],
    ['1\\..*q_proj', 'model.layers.1.self_attn.q_proj', true],
    ['1\\..*q_proj', 'model.layers.11.self_attn.q_proj', false],
    ['^model.layers.1.self_attn.q_proj', 'model.layers.1.self_attn.q_proj', true],
    ['^layers.1.self_attn.q_proj', 'model.layers.1.self_attn.q_proj', false],
    ['q_proj|k_proj', 'model.layers.1.self_attn.k_proj', true],
    ['lm_head', 'lm_head', true],
  ])('%s on %s: %s', (key, path, expected) => {
    expect(patternValue({ [key]: true }, path, false)).toBe(expected);
  });

  it('give the first value that matches, rank and alpha each by their own', () => {
    const config = parseLowRankConfig('lora', {
      rank: 8,
      alpha: 16,
      rankPattern: { '1\\..*q_proj': 2, q_proj: 4 },
      alphaPattern: { k_proj: 3 },
    });
    const at = (path: string): number[] => [lowRankAt(config, path).rank, lowRankAt(config, path).alpha];
    expect(at('model.layers.1.self_attn.q_proj')).toEqual([2, 16]);
    expect(at('model.layers.0.self_attn.q_proj')).toEqual([4, 16]);
    expect(at('model.layers.0.self_attn.k_proj')).toEqual([8, 3]);
    expect(lowRankAt(lowRankAt(config, 'a.q_proj'), 'a.q_proj')).toEqual(lowRankAt(config, 'a.q_proj'));
  });

  it('join configurations of several modules into one', () => {
    const one = (path: string, rank: number, alpha: number) =>
      [path, parseLowRankConfig('lora', { rank, alpha, targetModules: [path] })] as const;
    const given = new Map([one('layers.1.q', 4, 8), one('layers.11.q', 2, 8), one('layers.1.k', 4, 3)]);
    const joined = joinLowRankConfigs('lora', given);
    for (const [path, { rank, alpha }] of given) expect(lowRankAt(joined, path)).toMatchObject({ rank, alpha });
    expect(joined.targetModules).toEqual([...given.keys()]);
    const other = parseLowRankConfig('lora', { useRslora: true, targetModules: ['x'] });
    expect(() => joinLowRankConfigs('lora', new Map([...given, ['x', other]]))).toThrow(AdapterError);
  });
});
