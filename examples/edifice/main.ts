// Edifice is an Elixir library of network architectures on Axon. Its modules Edifice.Meta.LoRA and Edifice.Meta.DoRA have
// nine functions; this program goes through them one by one. Each part shows Edifice's call and then ours, and
// checks what it says: run it, and it prints a line for each.
import { cpu } from '@lowrank/backend-cpu';
import { loraWalk } from './lora.ts';
import { doraWalk } from './dora.ts';

const backend = await cpu();
for await (const line of loraWalk(backend)) console.log(line);
for await (const line of doraWalk(backend)) console.log(line);
await backend.dispose();
