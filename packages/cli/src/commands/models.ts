import type { Command } from 'commander';
import { listModels } from '@lowrank/models';
import { addJson } from '../common-options.ts';
import { bytesText } from '../format.ts';
import { makeReporter } from '../reporter.ts';
import { findModel } from '../session.ts';

export function addModels(program: Command): Command {
  const models = program.command('models').description('Models known by name.');
  addJson(models.command('list', { isDefault: true }).description('which there are, and where')).action(
    async (options: { json?: boolean }) => list(options.json === true),
  );
  addJson(models.command('fetch <name>').description('bring one into the cache')).action(
    async (name: string, options: { json?: boolean }) => fetch(name, options.json === true),
  );
  for (const command of models.commands) command.exitOverride();
  return models;
}

async function list(json: boolean): Promise<void> {
  const reporter = makeReporter(json);
  for (const { name, title, license, bytes, path } of await listModels()) {
    reporter.line(`${name}  ${title}, ${bytesText(bytes)}, ${license}  ${path ?? '(not fetched)'}`);
    reporter.event('model', { name, title, license, bytes, path: path ?? null });
  }
}

async function fetch(name: string, json: boolean): Promise<void> {
  const reporter = makeReporter(json);
  const path = await findModel(name, reporter);
  reporter.line(path);
  reporter.event('done', { name, path });
}
