import { ModelsError, resolveModel } from '@lowrank/models';
import { SetupError, stage } from '../setup/stage.mjs';

/** The real model that the end-to-end tests and the demo run on. */
const MODEL = 'smollm2-135m-instruct';

/** Brings the tests' model into the cache. Without it the suite fails: a test that is skipped proves nothing. */
export async function fetchTestModel() {
  await stage(`model ${MODEL}`, async () => {
    try {
      await resolveModel(MODEL);
    } catch (error) {
      if (!(error instanceof ModelsError)) throw error;
      throw new SetupError(error.message, 'Tests that need no model run without it: npm test -- packages/core');
    }
  });
}
