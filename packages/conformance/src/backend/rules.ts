/** One rule of the interface beyond a kernel's numbers. `run` gets a backend of its own. */
import type { Backend } from '@lowrank/core';

export interface Rule {
  readonly name: string;
  /** Why the manifest excuses a backend; undefined where it does not. */
  readonly excuse?: (backend: Backend) => string | undefined;
  /** `run` disposes of the backend itself. */
  readonly disposes?: true;
  readonly run: (backend: Backend) => Promise<void>;
}
