import {
  add,
  ADAPTER_INTERFACE_VERSION,
  AdapterError,
  addInto,
  lowRankAt,
  mul,
  scope,
  setUpLowRank,
  sub,
  tensor,
  type Adapter,
  type AdapterContext,
  type AdapterState,
  type FrozenLayer,
  type LowRankPair,
  type Tensor,
} from '@lowrank/core';
import { doraScale, parseDoraConfig, type DoraConfig } from './config.ts';
import { change, scaledSum } from './delta.ts';
import { mergeDora } from './merge.ts';
import { directionNorms, projectThrough, weightNorms } from './norm.ts';
import { peftFiles } from './peft-files.ts';

/**
 * y = b + g (W x + s B A x), g = m / ||W + s B A||, the norm over the input axis and a constant in backward. In training with
 * dropout, as PEFT: y = W x + b + (g - 1) W x~ + g s B A x~, with one mask.
 *
 * The magnitude starts as the weight's norms, rounded to f32, and those same numbers are kept as a buffer: so g is exactly 1
 * at the start. With PiSSA and OLoRA the buffer holds the norms of what those leave of the weight, and W + s B A is the
 * original at the start, up to rounding.
 */
export const doraAdapter: Adapter<DoraConfig> = {
  type: 'dora',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig: parseDoraConfig,

  async setup(site, original, config, context) {
    const { params, buffers, base } = await setUpLowRank(site, original, lowRankAt(config, site.path), context);
    const vector = (norms: Float32Array): Tensor => tensor(context.backend, norms, [site.outFeatures]);
    const norms = await weightNorms(original, site);
    return {
      params: { ...params, magnitude: vector(norms) },
      buffers: { ...buffers, weightNorm: vector(base === undefined ? norms : await weightNorms(base, site)) },
      ...(base === undefined ? {} : { base }),
    };
  },

  delta(x, y0, base, state, config, context) {
    const { pair, magnitude, norms } = partsOf(base, state, config, context);
    const input = inputOf(x, base, config, context);
    return change(input, input === x ? productIn(y0, base) : base.product(input), pair, magnitude, norms);
  },

  output(x, y0, base, state, config, context) {
    const { pair, magnitude, norms } = partsOf(base, state, config, context);
    const input = inputOf(x, base, config, context);
    if (input !== x) return addInto(y0, change(input, base.product(input), pair, magnitude, norms));
    const y = scaledSum(x, productIn(y0, base), pair, magnitude, norms);
    return base.bias === undefined ? y : add(y, base.bias);
  },

  merge: mergeDora,
  files: {
    gguf: { unsupported: 'DoRA scales the whole weight, which a file of low-rank pairs has no form for' },
    peft: peftFiles,
  },
};

interface Parts {
  readonly pair: LowRankPair;
  readonly magnitude: Tensor;
  /** ||W + s B A||, constants. */
  readonly norms: Tensor;
}

function partsOf(
  base: FrozenLayer,
  { params, buffers }: AdapterState,
  config: DoraConfig,
  context: AdapterContext,
): Parts {
  if (base.changed === true) throw otherWeight(base.path);
  const pair = { A: params['A']!, B: params['B']!, scale: doraScale(lowRankAt(config, base.path)) };
  const weightNorm = buffers['weightNorm']!;
  const norms = context.memo('norms', () =>
    scope(() => directionNorms(pair, mul(weightNorm, weightNorm), projectThrough(base, pair.A))),
  );
  return { pair, magnitude: params['magnitude']!, norms };
}

function inputOf(x: Tensor, { kind }: FrozenLayer, { dropout }: DoraConfig, context: AdapterContext): Tensor {
  return kind === 'embedding' || dropout === 0 ? x : context.dropout(x, dropout);
}

/** W x, which is known where nothing is dropped. */
function productIn(y0: Tensor, { bias }: FrozenLayer): Tensor {
  return bias === undefined ? y0 : sub(y0, bias);
}

/** The norms are of one weight: on another one the output would be wrong without a word. */
function otherWeight(path: string): AdapterError {
  return new AdapterError(
    'ADAPTER_STATE',
    `dora: the weight of ${path} is not the one that this adapter was set up on: another adapter was merged into it, or one that had replaced it was switched on or off; undo that, or put DoRA on the layer as it is now`,
    { path },
  );
}
