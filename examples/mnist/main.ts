import { parseArgs } from 'node:util';
import { cpu } from '@lowrank/backend-cpu';
import { experiment, type Row } from './experiment.ts';

const { values } = parseArgs({
  options: {
    'base-epochs': { type: 'string', default: '5' },
    'extra-epochs': { type: 'string', default: '5' },
    seed: { type: 'string', default: '0' },
  },
});

const percent = (part: number): string => `${(100 * part).toFixed(2)} %`;

function line({ name, trainable, loss, accuracy, merged }: Row): string {
  const cells = [trainable.toLocaleString('en'), loss.toFixed(4), percent(accuracy), merged ? percent(merged) : ''];
  return name.padEnd(10) + cells.map((cell) => cell.padStart(11)).join('');
}

console.log('            trainable  test loss   accuracy     merged');
const backend = await cpu();
await experiment(backend, {
  baseEpochs: Number(values['base-epochs']),
  extraEpochs: Number(values['extra-epochs']),
  seed: Number(values.seed),
  onRow: (row) => console.log(line(row)),
});
await backend.dispose();
