import { browserBackends } from '../backends.ts';
import { SuiteInPage } from './suite.ts';

/** What the page offers to the test that drives it. */
export interface PageGlobals {
  startSuite(name: string): void;
  suite: SuiteInPage;
  readonly crossOriginIsolated: boolean;
}

const page = globalThis as unknown as PageGlobals;
page.startSuite = (name) => {
  const backend = browserBackends.find((row) => row.name === name);
  if (backend === undefined) throw new Error(`no backend is called ${name}`);
  page.suite = new SuiteInPage(backend);
};
