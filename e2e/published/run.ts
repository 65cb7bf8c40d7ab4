import { spawn } from 'node:child_process';

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Our own environment less what vitest and npm put in it. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const kept = Object.entries(process.env).filter(
    ([name]) => !/^(npm_(?!execpath)|VITEST|NODE_OPTIONS|NODE_ENV)/.test(name),
  );
  return { ...Object.fromEntries(kept), NO_COLOR: '1' };
}

/** Runs a program to its end. Its input is `input`. */
export function run(
  file: string,
  args: readonly string[],
  { cwd, input = '', timeout }: { readonly cwd: string; readonly input?: string; readonly timeout: number },
): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { cwd, env: plainEnvironment(), timeout });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout: stdout.trim(), stderr }));
    child.stdin.end(input);
  });
}

/**
 * Runs TypeScript from standard input, so that names resolve from `cwd` and nothing is written there.
 * `conditions` choose among a package's exports.
 */
export function runTypeScript(code: string, cwd: string, conditions: readonly string[] = []): Promise<Outcome> {
  const flags = conditions.map((condition) => `--conditions=${condition}`);
  const args = [...flags, '--input-type=module-typescript', '-'];
  return run(process.execPath, args, { cwd, input: code, timeout: 240_000 });
}
