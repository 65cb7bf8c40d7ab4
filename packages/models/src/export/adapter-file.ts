import type { Adapter, InjectedAdapter } from '@lowrank/core';
import { checkGgufForm, readGgufAdapter, writeGgufAdapter } from '../adapters/gguf-adapter.ts';
import { adapterFromModel, putOnModel, type LoadAdapterOptions } from '../adapters/on-model.ts';
import type { CausalLm } from '../causal-lm/causal-lm.ts';

/**
 * Writes an adapter as a llama.cpp LoRA GGUF, atomically; resolves to its size in bytes. The file has one alpha: what
 * other sites scale differently is folded into their B.
 * @throws AdapterError ADAPTER_UNSUPPORTED for an adapter without a form in that file; ModelsError MODELS_ADAPTER where
 * llama.cpp would fail on it.
 */
export async function writeAdapterGguf(path: string, model: CausalLm, injected: InjectedAdapter): Promise<number> {
  checkExportable(model, injected);
  return writeGgufAdapter(path, model, await adapterFromModel(model, injected));
}

/** @throws as `writeAdapterGguf`, before a run is spent on an adapter that cannot be written. */
export function checkExportable(model: CausalLm, injected: InjectedAdapter): void {
  const { adapter, config } = injected.configured;
  checkGgufForm(model, adapter, injected.sites, config.modulesToSave);
}

/**
 * Puts an adapter from a llama.cpp LoRA GGUF on a model.
 * @param adapter the plugin that reads such a file.
 * @throws ModelsError MODELS_ADAPTER when it belongs to another model; GgufError when the file is damaged. The model is
 * unchanged then.
 */
export async function loadAdapterGguf(
  path: string,
  model: CausalLm,
  adapter: Adapter,
  options: LoadAdapterOptions = {},
): Promise<InjectedAdapter> {
  return putOnModel(await readGgufAdapter(path, model, adapter), model, options);
}
