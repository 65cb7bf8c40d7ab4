import { BackendError } from '@lowrank/core';
import { commands } from '../generated/opcodes.ts';
import { control } from '../generated/control.ts';

/** The error a command has left in the control block, if any. */
export function failureOf(words: Int32Array): BackendError | undefined {
  if (words[control.FAILED] !== 1) return undefined;
  const command = commands[words[control.FAILED_OPCODE]!]!;
  const [value, ...args] = new Float64Array(
    words.buffer,
    words.byteOffset + control.FAILED_VALUES * Int32Array.BYTES_PER_ELEMENT,
    9,
  );
  const shapes = command.args
    .split(' ')
    .map((name, index) => ({ name, value: args[index] }))
    .filter(({ name, value: at }) => at !== undefined && !addressNames.has(name) && name !== '...');
  const listed = shapes.map(({ name, value: at }) => `${name} ${at}`).join(', ');
  return new BackendError('BACKEND_KERNEL', `${command.name}: index ${value} is out of range (${listed})`, {
    kernel: command.name,
    value,
  });
}

/** Arguments that are addresses say nothing to a reader. */
const addressNames = new Set([
  'y',
  'x',
  'table',
  'indices',
  'source',
  'target',
  'losses',
  'logSumExp',
  'logits',
  'targets',
  'dLogits',
  'dLosses',
  'cos',
  'sin',
  'positions',
]);

export const disposed = (): BackendError => new BackendError('BACKEND_DISPOSED', 'the backend has been disposed');
