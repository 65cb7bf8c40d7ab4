import {
  ADAPTER_INTERFACE_VERSION,
  AdapterError,
  type Adapter,
  type AdapterConfig,
  type ConfiguredAdapter,
} from './adapter.ts';
import { flag, nameList, readConfig } from './config-fields.ts';

/** Which modules are trained whole; see `AdapterConfig`. */
export interface WholeModulesConfig extends AdapterConfig {
  readonly modulesToSave: readonly string[];
  readonly keepTies: boolean;
}

/** What trains modules whole has nothing to add to the others. */
function absent(): never {
  throw new AdapterError('ADAPTER_UNSUPPORTED', 'whole modules are trained in place: no layer has an adapter');
}

const unsupported = 'whole weights were trained, not a change of them: write the model instead';

/** Not an adapter on any layer but trained copies of whole modules: full fine-tuning, or that of a head alone. */
export const wholeModulesAdapter: Adapter<WholeModulesConfig> = {
  type: 'whole-modules',
  interfaceVersion: ADAPTER_INTERFACE_VERSION,
  parseConfig(input) {
    const { modulesToSave, keepTies } = readConfig('whole-modules', input, {
      modulesToSave: nameList(),
      keepTies: flag(true),
    });
    return { targetModules: [], excludeModules: [], modulesToSave, keepTies };
  },
  setup: absent,
  delta: absent,
  files: { gguf: { unsupported }, peft: { unsupported } },
};

/**
 * Trains the named modules, and all that is in them, whole and in f32: `['lm_head']` for the head alone. For `inject`.
 * @param options `keepTies` (default true): a weight that another module uses, too, changes there as well.
 */
export function wholeModules(
  names: readonly string[],
  options: { readonly keepTies?: boolean } = {},
): ConfiguredAdapter<WholeModulesConfig> {
  const config = wholeModulesAdapter.parseConfig({ modulesToSave: names, ...options });
  if (names.length === 0) {
    throw new AdapterError('ADAPTER_CONFIG', 'whole-modules: name at least one module', {
      path: 'modulesToSave',
      value: names,
    });
  }
  return { adapter: wholeModulesAdapter, config };
}
