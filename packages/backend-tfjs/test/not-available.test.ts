import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tfjs, type EngineName } from '@lowrank/backend-tfjs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

describe('an engine that cannot be had', () => {
  let empty: string;
  beforeAll(async () => {
    empty = await mkdtemp(join(tmpdir(), 'lowrank-'));
  });
  afterAll(() => rm(empty, { recursive: true }));

  const refusal = (code: string, message: string): unknown =>
    expect.objectContaining({ code, message: expect.stringContaining(message) as unknown });

  it('says which package to install', async () => {
    const error = refusal('BACKEND_NOT_AVAILABLE', 'npm install @tensorflow/tfjs-node');
    await expect(tfjs({ engine: 'node', path: empty })).rejects.toEqual(error);
  });

  it('says what a module lacks that is not tfjs-node', async () => {
    const error = refusal('BACKEND_NOT_AVAILABLE', "no backend 'tensorflow'");
    await expect(tfjs({ engine: 'node', module: {} })).rejects.toEqual(error);
  });

  it('says that browsers have it', async () => {
    await expect(tfjs({ engine: 'webgl' })).rejects.toEqual(refusal('BACKEND_NOT_AVAILABLE', 'WebGL 2'));
    await expect(tfjs({ engine: 'webgpu' })).rejects.toEqual(refusal('BACKEND_NOT_AVAILABLE', 'WebGPU'));
  });

  it('says which there are', async () => {
    const error = refusal('BACKEND_ARGUMENT', 'node, wasm, cpu, webgl, webgpu');
    await expect(tfjs({ engine: 'cuda' as EngineName })).rejects.toEqual(error);
  });
});
