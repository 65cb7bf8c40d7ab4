import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { run } from '../../e2e/published/run.ts';
import { comparisonTable, withComparison, type Comparison } from './comparison.ts';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const emptyPlace = '<!-- comparison: made by npm run compare -w examples/orders -->\n\n<!-- end of comparison -->\n';

const comparison: Comparison = {
  model: 'small',
  backend: 'cpu',
  device: 'native, 2 threads',
  heldOut: 40,
  steps: 100,
  settings: ['--rank', '8'],
  measured: [
    {
      adapter: 'qlora',
      trainableParameters: 2_442_240,
      exactMatch: 0.925,
      lossBefore: 2.5,
      lossAfter: 0.0125,
      tokensPerSecond: 123.4,
      peakMemoryBytes: 500e6,
    },
  ],
};

describe('the table', () => {
  it('has a row for each adapter, padded', () => {
    expect(comparisonTable(comparison)).toBe(
      [
        '|             | trainable | exact match | loss before | loss after | tokens a second | peak memory |',
        '| ----------- | --------: | ----------: | ----------: | ---------: | --------------: | ----------: |',
        '| QLoRA (NF4) | 2,442,240 |        93 % |       2.500 |      0.013 |             123 |      500 MB |',
      ].join('\n'),
    );
  });

  it('takes the place of the one before, and of nothing else', () => {
    const page = `# Title\n\n${emptyPlace}\nafter\n`;
    const once = withComparison(page, comparison);
    expect(once).toContain('| QLoRA (NF4) |');
    expect(once.startsWith('# Title\n\n<!-- comparison')).toBe(true);
    expect(once.endsWith('<!-- end of comparison -->\n\nafter\n')).toBe(true);
    expect(withComparison(once, comparison)).toBe(once);
  });

  it('is refused by a page without a place for it', () => {
    expect(() => withComparison('# Title', comparison)).toThrow('no place');
  });

  it('in docs/adapters.md is that of docs/data/adapters.json', () => {
    const page = readFileSync(path('../../docs/adapters.md'), 'utf8');
    const data = path('../../docs/data/adapters.json');
    // Before the first measurement the place is empty.
    const expected = existsSync(data)
      ? withComparison(page, JSON.parse(readFileSync(data, 'utf8')) as Comparison)
      : emptyPlace;
    expect(page).toContain(expected);
  });
});

describe('npm run compare on the small model', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lowrank-compare-test-'));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('trains with each adapter through the command, and writes data and table', { timeout: 180_000 }, async () => {
    const [output, page] = [join(folder, 'data.json'), join(folder, 'page.md')];
    await writeFile(page, emptyPlace);
    const flags = ['--model=names', '--adapters=lora,qdora', '--steps=4', '--threads=1'];
    const { code, stderr } = await run(
      process.execPath,
      ['--conditions=@lowrank/source', path('compare.ts'), ...flags, `--output=${output}`, `--page=${page}`],
      { cwd: folder, timeout: 170_000 },
    );
    expect(code, stderr).toBe(0);
    const made = JSON.parse(await readFile(output, 'utf8')) as Comparison;
    expect(made).toMatchObject({ model: 'names', backend: 'cpu', heldOut: 40, steps: 4 });
    const [lora, qdora] = made.measured;
    // Rank 8 on seven layers of each block; a magnitude for each output feature besides.
    expect([lora!.trainableParameters, qdora!.trainableParameters]).toEqual([55_296, 58_880]);
    // The base is another one in 4 bits.
    expect(qdora!.lossBefore).not.toBe(lora!.lossBefore);
    for (const row of made.measured) {
      expect(row.lossAfter).toBeLessThan(row.lossBefore);
      expect(row.tokensPerSecond).toBeGreaterThan(0);
      // Node alone takes more.
      expect(row.peakMemoryBytes).toBeGreaterThan(20e6);
    }
    expect(await readFile(page, 'utf8')).toBe(withComparison(emptyPlace, made));
  });
});
