import type { TrainingSettings } from './settings.ts';

type Shape = Omit<TrainingSettings, 'threads'>;

/** Who trains: lowrank on an engine and a form of the base, or PyTorch with PEFT. */
export interface Trainee {
  readonly subject: 'lowrank native' | 'lowrank WASM' | 'PyTorch + PEFT';
  readonly engine?: 'native' | 'wasm';
  readonly base: 'f32' | 'quantized' | 'nf4';
  readonly shape: Shape;
  /** The case's name in the figures, without its size. */
  readonly name: string;
  /** Whether with PEFT. */
  readonly compared: boolean;
}

/** Cases whose subjects take turns; PEFT's is the peer of all of them. */
export interface Group {
  readonly name: string;
  readonly trainees: readonly Trainee[];
}

const plain: Shape = {
  adapter: 'lora',
  rank: 8,
  alpha: 16,
  targets: 'all-linear',
  batch: 4,
  length: 256,
  checkpointing: false,
};

export const groups: readonly Group[] = [
  group('LoRA on all linear layers', plain, (shape) => [
    { ...native('LoRA on all linear layers, base in its own blocks', shape), base: 'quantized' },
    { ...native('QLoRA (NF4)', shape), base: 'nf4' },
  ]),
  group('LoRA on q and v', { ...plain, targets: ['q_proj', 'v_proj'] }),
  group('DoRA on all linear layers', { ...plain, adapter: 'dora' }, () => [
    // Beside DoRA in the same minutes, to tell what DoRA adds.
    { ...native('LoRA beside DoRA', plain), compared: false },
  ]),
  group('LoRA, activation checkpointing', { ...plain, checkpointing: true }),
  {
    name: 'LoRA on all linear layers, bf16 products',
    trainees: [
      native('LoRA on all linear layers, bf16 products', { ...plain, bf16: true }),
      // In the same minutes, to tell what bf16 gains.
      { ...native('LoRA, f32 products beside bf16', plain), compared: false },
      peer('LoRA on all linear layers, bf16 products', { ...plain, bf16: true }),
    ],
  },
  group('LoRA on all linear layers', { ...plain, batch: 1, length: 128 }),
];

/** Ours on both engines, and the peer last. */
function group(name: string, shape: Shape, more: (shape: Shape) => readonly Trainee[] = () => []): Group {
  return {
    name,
    trainees: [
      native(name, shape),
      { ...native(name, shape), subject: 'lowrank WASM', engine: 'wasm' },
      ...more(shape),
      peer(name, shape),
    ],
  };
}

function peer(name: string, shape: Shape): Trainee {
  return { subject: 'PyTorch + PEFT', base: 'f32', shape, name, compared: false };
}

function native(name: string, shape: Shape): Trainee {
  return { subject: 'lowrank native', engine: 'native', base: 'f32', shape, name, compared: true };
}

/** What may stand in the place of a case's own size. */
export interface Sizes {
  readonly batch?: number;
  readonly tokens?: number;
}

/** With its size in its name. */
export function sized(trainee: Trainee, { batch, tokens }: Sizes): Trainee {
  const shape = { ...trainee.shape, batch: batch ?? trainee.shape.batch, length: tokens ?? trainee.shape.length };
  return { ...trainee, shape, name: `${trainee.name}, ${shape.batch} x ${shape.length}` };
}
