import { root } from '../setup/stage.mjs';
import { findForbiddenImports } from './imports.mjs';

const { modules, violations } = await findForbiddenImports(root, ['packages', 'bench', 'e2e', 'examples', 'scripts']);
for (const violation of violations) console.log(violation);
console.log(`${violations.length} forbidden imports in ${modules} modules`);
process.exitCode = violations.length > 0 || modules === 0 ? 1 : 0;
