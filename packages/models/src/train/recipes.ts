import { wholeModules, type ConfiguredAdapter } from '@lowrank/core';

/**
 * The three ways to fine-tune a `CausalLm`, from the cheapest: its head alone, an adapter such as `lora()`, all of it. Each is
 * what `fineTune` takes as its `adapter`.
 */

/** Only the output head is trained. A head tied to the embedding parts from it: the embedding stays. */
export function headOnly(): ConfiguredAdapter {
  return wholeModules(['lm_head'], { keepTies: false });
}

/** Every weight is trained, in f32: 16 bytes a parameter with AdamW. A tied head stays tied. */
export function fullFineTuning(): ConfiguredAdapter {
  return wholeModules(['model', 'lm_head']);
}
