/** The `lowrank` command in this process, which tells its parent the most memory that it has taken. */
import { run } from 'lowrank';

process.exitCode = await run(process.argv.slice(2));
// KiB on every system: Node makes them so.
process.send?.({ peakMemoryBytes: process.resourceUsage().maxRSS * 1024 });
process.disconnect?.();
