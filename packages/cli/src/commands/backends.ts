import type { Command } from 'commander';
import { fusedKernelNames, type Backend } from '@lowrank/core';
import { backendNames, openBackend } from '../backends.ts';
import { addJson } from '../common-options.ts';
import { bytesText } from '../format.ts';
import { messageOf } from '../message-of.ts';
import { makeReporter, type Reporter } from '../reporter.ts';

export function addBackends(program: Command): Command {
  const command = program
    .command('backends')
    .description('What can compute here, what each supports, and what to install for the rest.')
    .argument('[names...]', 'these alone; packages and files of other people too');
  return addJson(command).action(async (names: string[], options: { json?: boolean }) => {
    const reporter = makeReporter(options.json === true);
    for (const name of names.length === 0 ? backendNames : names) await tell(name, reporter);
  });
}

/** Opens a backend, tells what it is, and lets go of it. */
async function tell(name: string, reporter: Reporter): Promise<void> {
  let backend: Backend;
  try {
    backend = await openBackend(name);
  } catch (error) {
    const reason = messageOf(error);
    reporter.line(`${name.padEnd(18)} not available: ${reason}`);
    reporter.event('backend', { backend: name, available: false, reason });
    return;
  }
  try {
    const { supports } = backend;
    const fused = fusedKernelNames.filter((kernel) => kernel in backend.kernels);
    const device = backend.device ?? null;
    reporter.line(`${name.padEnd(18)} ${device ?? 'ready'}`);
    const facts = [
      `${fused.length} of ${fusedKernelNames.length} fused kernels`,
      `blocks: ${supports.blockFormats.length === 0 ? 'decoded by core' : supports.blockFormats.join(' ')}`,
      `${bytesText(supports.maxStorageBytes)} in one piece`,
      ...(supports.productOperands === undefined
        ? []
        : [`products of operands rounded to ${supports.productOperands}`]),
      supports.deterministic ? 'the same bits each time' : 'last bits may differ from run to run',
    ];
    for (const fact of facts) reporter.line(`${' '.repeat(18)}   ${fact}`);
    reporter.event('backend', { backend: name, available: true, device, supports, fusedKernels: fused });
  } finally {
    await backend.dispose();
  }
}
