import { expect, it } from 'vitest';
import { Subject } from './subject.ts';

const node = (code: string) => ({ file: process.execPath, args: ['-e', code] });
const echo = `
  const say = (object) => process.stdout.write(JSON.stringify(object) + '\\n');
  say({ ready: true });
  require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => say({ asked: JSON.parse(line) }));
`;

it('a subject says that it is ready, and answers one request after the other', async () => {
  await using subject = await Subject.start('echo', node(echo));
  expect(subject.ready).toEqual({ ready: true });
  expect(await subject.ask({ n: 1 })).toEqual({ asked: { n: 1 } });
  expect(await subject.ask({ n: 2 })).toEqual({ asked: { n: 2 } });
});

it('one that ends instead is an error with what it complained of', async () => {
  const dying = node('console.error("no such model"); process.exit(3)');
  await expect(Subject.start('a peer', dying)).rejects.toThrow(
    /^a peer ended with 3 before it answered\nno such model$/,
  );
});
