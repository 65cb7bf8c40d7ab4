import type { Backend, InjectedAdapter } from '@lowrank/core';
import {
  loadAdapter,
  loadCausalLm,
  openBaseModel,
  resolveModel,
  type BaseModel,
  type CausalLm,
  type ChatTemplate,
  type Tokenizer,
} from '@lowrank/models';
import { fileAdapters, type AdapterFileOptions } from './adapter-files.ts';
import { openBackend } from './backends.ts';
import { barText, bytesText } from './format.ts';
import { quantization, type QuantizeOptions } from './quantize-options.ts';
import type { Reporter } from './reporter.ts';

export interface SessionOptions extends QuantizeOptions {
  readonly model: string;
  readonly backend: string;
  readonly threads?: number | undefined;
  readonly adapterFile?: string | undefined;
}

/** A model on a backend with all that goes with it. */
export interface Session {
  readonly path: string;
  readonly base: BaseModel;
  readonly backend: Backend;
  readonly model: CausalLm;
  readonly tokenizer: Tokenizer;
  readonly template: ChatTemplate | undefined;
  readonly adapter: InjectedAdapter | undefined;
  close(): Promise<void>;
}

/** Finds the model (fetching it where need be), loads it, and puts the adapter file on it. */
export async function openSession(options: SessionOptions & AdapterFileOptions, reporter: Reporter): Promise<Session> {
  const plugins = options.adapterFile === undefined ? [] : await fileAdapters(options);
  const path = await findModel(options.model, reporter);
  const base = await openBaseModel(path);
  const closers: (() => Promise<void> | void)[] = [() => base.close()];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    const tokenizer = await base.tokenizer();
    const template = await base.chatTemplate(tokenizer);
    const backend = await openBackend(options.backend, options.threads);
    closers.push(() => backend.dispose());
    const model = await loadCausalLm(base.file, backend, {
      ...quantization(options),
      onProgress: (loaded, total) =>
        reporter.status(`loading ${barText(loaded, total)} ${bytesText(loaded)} of ${bytesText(total)}`),
    });
    closers.push(() => model.dispose());
    const adapter =
      options.adapterFile === undefined
        ? undefined
        : await loadAdapter(options.adapterFile, model, plugins, { checkFinite: options.checkFinite === true });
    reporter.settle();
    return { path, base, backend, model, tokenizer, template, adapter, close };
  } catch (error) {
    reporter.settle();
    await close();
    throw error;
  }
}

/** The path of a model by name, path or hub address, told while it is fetched. */
export async function findModel(name: string, reporter: Reporter): Promise<string> {
  const resolved = await resolveModel(name, {
    onProgress: ({ route, receivedBytes, totalBytes }) =>
      reporter.status(
        totalBytes === undefined
          ? `fetching ${name} (${route}) ${bytesText(receivedBytes)}`
          : `fetching ${name} (${route}) ${barText(receivedBytes, totalBytes)} ${bytesText(receivedBytes)} of ${bytesText(totalBytes)}`,
      ),
  });
  reporter.settle();
  if (!['file', 'embedded', 'cache'].includes(resolved.source)) {
    reporter.note(`fetched ${name} from ${resolved.source}`);
  }
  return resolved.path;
}
