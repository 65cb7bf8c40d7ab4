import type { Trial } from '../rig.ts';

/** How the output starts: with the base's very numbers, with what float32 rounding of the initial weights leaves of them, or elsewhere. */
export type Start = 'exact' | 'rounded' | 'different';

/** One claim about an adapter, tried on every layer that it applies to. */
export interface AdapterRule {
  readonly name: string;
  /** Why the claim does not apply; undefined where it does. Only manifests and what the adapter says of itself count. */
  readonly excuse?: (trial: Trial, start: Start) => string | undefined;
  readonly run: (trial: Trial, start: Start) => Promise<void>;
}
