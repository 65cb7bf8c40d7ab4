import { chmod, writeFile } from 'node:fs/promises';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { launchBrowser } from './support/browser.ts';
import { findChromium, libraryPath } from './support/chromium.ts';

afterEach(() => void vi.unstubAllEnvs());

describe('the browser', () => {
  it('is the one that LOWRANK_CHROMIUM names', () => {
    vi.stubEnv('LOWRANK_CHROMIUM', '/opt/chromium/chrome');
    expect(findChromium()).toEqual({ executablePath: '/opt/chromium/chrome' });
  });

  it('that does not start is an error which says what to do', async () => {
    await using folder = await temporaryFolder();
    vi.stubEnv('LOWRANK_CHROMIUM', folder.file('no-browser'));
    await expect(launchBrowser()).rejects.toThrow(/no-browser did not start.*LOWRANK_CHROMIUM/);
  });

  it.runIf(process.platform !== 'win32')(
    'gets the libraries that came with it where the system lacks them',
    async () => {
      await using folder = await temporaryFolder();
      vi.stubEnv('LD_LIBRARY_PATH', '/already/there');
      const program = async (name: string, body: string): Promise<string> => {
        await writeFile(folder.file(name), `#!/bin/sh\n${body}\n`);
        await chmod(folder.file(name), 0o755);
        return folder.file(name);
      };
      const whole = await program('whole', 'exit 0');
      const lacking = await program('lacking', 'exit 127');
      expect(libraryPath(whole, '/lib/of/it')).toMatchObject({ LD_LIBRARY_PATH: '/already/there' });
      expect(libraryPath(lacking, '/lib/of/it')).toMatchObject({ LD_LIBRARY_PATH: '/lib/of/it:/already/there' });
    },
  );
});
