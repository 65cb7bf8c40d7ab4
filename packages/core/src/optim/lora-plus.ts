import { CoreError } from '../errors/core-error.ts';
import type { Tensor } from '../tensor/tensor.ts';
import type { ParameterGroup } from './optimizer.ts';

/**
 * LoRA+ (Hayou et al. 2024, arXiv 2402.12354): B learns `ratio` times as fast as all else. For wide layers that is what lets A
 * and B learn features alike; the paper finds ratios around 16 good where B starts at zero, with a learning rate below LoRA's.
 * @param parameters an adapter's, by path: those named `B` are the fast ones. DoRA's magnitudes are not.
 * @throws CoreError CORE_ARGUMENT for a ratio that is not above 0, and where there is no B.
 */
export function loraPlusGroups(parameters: ReadonlyMap<string, Tensor>, ratio: number): ParameterGroup[] {
  if (!(ratio > 0 && ratio < Infinity)) {
    throw new CoreError('CORE_ARGUMENT', `LoRA+: the ratio is ${ratio}; a number above 0 is needed`, { value: ratio });
  }
  const isB = (name: string): boolean => name === 'B' || name.endsWith('.B');
  const fast = new Map([...parameters].filter(([name]) => isB(name)));
  if (fast.size === 0) {
    throw new CoreError(
      'CORE_ARGUMENT',
      'LoRA+: this adapter has no parameter B; leave the ratio out, or use an adapter of LoRA’s family',
      { value: [...parameters.keys()] },
    );
  }
  const others = new Map([...parameters].filter(([name]) => !isB(name)));
  return [...(others.size === 0 ? [] : [{ params: others }]), { params: fast, learningRateScale: ratio }];
}
