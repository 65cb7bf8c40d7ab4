#!/usr/bin/env node
import { run } from './run.ts';

// A reader that has seen enough, such as `head`, does not keep a run from its end.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE' && error.code !== 'ERR_STREAM_DESTROYED') throw error;
});

process.exitCode = await run(process.argv.slice(2));
