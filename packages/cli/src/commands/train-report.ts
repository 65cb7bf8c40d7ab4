import { parameterCounts } from '@lowrank/core';
import { bytesText, countText } from '../format.ts';
import type { QuantizeOptions } from '../quantize-options.ts';
import { isKnownAdapter } from '../adapters.ts';
import type { Reporter } from '../reporter.ts';
import type { Session } from '../session.ts';
import type { OutputKind } from '../train-output.ts';
import type { ReadyOptions } from './train-options.ts';

/** Where a run begins. */
export interface Start {
  readonly steps: number;
  readonly firstStep: number;
  readonly examples: number;
  /** Of all examples, and those of them that the loss counts. */
  readonly tokens: number;
  readonly trainedTokens: number;
}

/** Tells what is trained on what. */
export function tellStart(
  reporter: Reporter,
  session: Session,
  options: ReadyOptions,
  { steps, firstStep, examples, tokens, trainedTokens }: Start,
): void {
  const { trainable, total } = parameterCounts(session.model);
  const { backend } = session;
  reporter.settle();
  reporter.line(
    `model      ${session.path} on ${backend.name}${backend.device === undefined ? '' : ` (${backend.device})`}`,
  );
  reporter.line(
    `adapter    ${options.adapter}, ${countText(trainable)} trainable of ${countText(total)} parameters (${((100 * trainable) / total).toFixed(2)} %)`,
  );
  reporter.line(
    `data       ${countText(examples)} examples, ${countText(tokens)} tokens; ${countText(steps)} steps${firstStep > 0 ? `, ${firstStep} of them done` : ''}`,
  );
  reporter.event('start', {
    model: session.path,
    backend: backend.name,
    device: backend.device ?? null,
    adapter: options.adapter,
    trainableParameters: trainable,
    totalParameters: total,
    trainExamples: examples,
    tokens,
    trainedTokens,
    steps,
    firstStep,
  });
}

/** What a run wrote. */
export interface Result {
  readonly kind: OutputKind;
  readonly path: string;
  readonly bytes: number;
}

/** Tells where the result is and what to do with it. */
export function tellEnd(reporter: Reporter, options: ReadyOptions, { kind, path, bytes }: Result): void {
  const { model, adapter } = options;
  const size = kind === 'checkpoint' ? '' : ` (${bytesText(bytes)})`;
  reporter.line(`${kind === 'merged' ? 'model  ' : 'adapter'}    ${path}${size}`);
  const plugin = kind === 'gguf' || isKnownAdapter(adapter) ? '' : ` --adapter ${adapter}`;
  const base = kind === 'merged' ? `-m ${path}` : `-m ${model}${quantizeFlags(options)} -a ${path}${plugin}`;
  reporter.line(`try it     lowrank generate ${base} -p "..."`);
  if (kind === 'gguf') reporter.line(`llama.cpp  llama-cli -m <model.gguf> --lora ${path}`);
  if (kind === 'peft') reporter.line(`PEFT       PeftModel.from_pretrained(model, "${path}")`);
}

/** An adapter has the very numbers that it was trained with only on the base that it was trained on. */
function quantizeFlags({ quantize, quantizeBlockSize, doubleQuantization }: QuantizeOptions): string {
  if (quantize === undefined) return '';
  const size = quantizeBlockSize === 64 ? '' : ` --quantize-block-size ${quantizeBlockSize}`;
  return ` --quantize ${quantize}${size}${doubleQuantization ? '' : ' --no-double-quantization'}`;
}
