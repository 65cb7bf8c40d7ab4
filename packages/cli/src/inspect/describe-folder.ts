import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { openSafetensorsModel } from '@lowrank/io-safetensors';
import { CliError } from '../cli-error.ts';
import { messageOf } from '../message-of.ts';
import { describeGguf } from './describe-gguf.ts';
import { describeSafetensors, tensorsOf } from './describe-safetensors.ts';
import { jsonLinesOf, type Description } from './description.ts';

/**
 * A PEFT adapter, a checkpoint of ours, or a Hugging Face model: its configuration and its tensors.
 * @throws CliError CLI_INPUT for a folder that is none of them; SafetensorsError and GgufError for damaged files.
 */
export async function describeFolder(folder: string): Promise<Description> {
  const has = async (name: string): Promise<boolean> =>
    (await stat(join(folder, name)).catch(() => undefined))?.isFile() === true;
  const told = async (name: string): Promise<Description['metadata']> => jsonLinesOf(await jsonIn(join(folder, name)));
  if (await has('adapter_config.json')) {
    const weights = await describeSafetensors(join(folder, 'adapter_model.safetensors'));
    return { ...weights, kind: 'PEFT adapter', metadata: await told('adapter_config.json') };
  }
  if (await has('state.json')) {
    const parameters = await describeGguf(join(folder, 'parameters.gguf'));
    const names = parameters.metadata.find(({ key }) => key === 'lowrank.names')?.value;
    return {
      ...parameters,
      kind: 'checkpoint',
      details: {},
      metadata: await told('state.json'),
      // Within, arrays are numbered.
      tensors: parameters.tensors.map((tensor, i) => ({
        ...tensor,
        name: Array.isArray(names) ? String(names[i] ?? tensor.name) : tensor.name,
      })),
    };
  }
  if (await has('config.json')) {
    await using model = await openSafetensorsModel(folder);
    const tensors = tensorsOf(model);
    const bytes = tensors.reduce((sum, { byteLength }) => sum + (byteLength ?? 0), 0);
    return { kind: 'Hugging Face model', details: {}, bytes, metadata: await told('config.json'), tensors };
  }
  throw new CliError(
    'CLI_INPUT',
    `${folder} has neither adapter_config.json (a PEFT adapter), config.json (a model) nor state.json (a checkpoint)`,
    { value: folder },
  );
}

async function jsonIn(path: string): Promise<Record<string, unknown>> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  } catch (cause) {
    throw new CliError('CLI_INPUT', `${path} cannot be read: ${messageOf(cause)}`, { value: path, cause });
  }
}
