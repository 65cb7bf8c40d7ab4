/** What is used of @tensorflow/tfjs-core, which may not be installed: no types of it stand in our declarations. */
import { BackendError } from '@lowrank/core';
import { explain } from './not-available.ts';
import type { EngineName } from './engine.ts';

export type DataId = object;

export interface TensorInfo {
  dataId: DataId;
  shape: number[];
  dtype: string;
}

/** An instance of a backend of TensorFlow.js. */
export interface KernelBackend {
  write(values: ArrayLike<number>, shape: number[], dtype: string): DataId;
  read(dataId: DataId): Promise<ArrayLike<number>>;
  readSync(dataId: DataId): ArrayLike<number>;
  disposeData(dataId: DataId, force?: boolean): boolean;
  numDataIds(): number;
  dispose(): void;
}

export interface KernelConfig {
  readonly kernelName: string;
  kernelFunc(parameters: { inputs: unknown; attrs: unknown; backend: KernelBackend }): TensorInfo | TensorInfo[];
  setupFunc?: (backend: KernelBackend) => void;
}

type Factory = () => KernelBackend | Promise<KernelBackend>;

export interface TfjsCore {
  getKernel(name: string, backend: string): KernelConfig | null | undefined;
  env(): { getBool(flag: string): boolean; getNumber(flag: string): number };
  engine(): {
    /** Instances that TensorFlow.js has made. */
    readonly registry: Readonly<Record<string, KernelBackend>>;
    readonly registryFactory: Record<string, { factory: Factory; priority: number }>;
  };
}

/** Below what any backend of TensorFlow.js registers itself with. */
const LAST = -1;

/**
 * Imports a backend's package and gives its factory. The package registers itself with TensorFlow.js as it is loaded;
 * where it was not registered before, it gets the lowest priority, so that an application that leaves the choice of
 * its backend to TensorFlow.js gets the same one as without us.
 * @throws BackendError `BACKEND_NOT_AVAILABLE` where a package is not installed.
 */
export async function importBackend(
  engine: EngineName,
  load: () => Promise<unknown>,
): Promise<{ core: TfjsCore; factory: Factory; module: unknown }> {
  let core: TfjsCore;
  let known: boolean;
  let module: unknown;
  try {
    core = (await import('@tensorflow/tfjs-core')) as unknown as TfjsCore;
    known = engine in core.engine().registryFactory;
    module = await load();
  } catch (error) {
    throw new BackendError('BACKEND_NOT_AVAILABLE', explain(engine, error), { value: engine, cause: error });
  }
  const entry = core.engine().registryFactory[engine];
  if (entry === undefined) {
    const message = `@tensorflow/tfjs-backend-${engine} has registered nothing with this copy of @tensorflow/tfjs-core`;
    throw new BackendError('BACKEND_NOT_AVAILABLE', `${message}: install one version of both`, { value: engine });
  }
  if (!known) entry.priority = LAST;
  return { core, factory: entry.factory, module };
}
