// Imports every built package by its name, as a user of it does: without the source condition, on the Node that runs this.
import { publishedPackages } from './check/packages.mjs';

for (const { name } of publishedPackages()) {
  /** @type {Record<string, unknown>} */
  const exported = await import(name);
  const names = Object.keys(exported);
  if (names.length === 0) throw new Error(`${name} exports nothing`);
  console.log(`Node ${process.versions.node}: ${name} exports ${names.length} names`);
}
