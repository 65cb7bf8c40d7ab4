import ora, { type Ora } from 'ora';

/** Where a command's words go: JSON Lines on stdout for machines, or plain text; everything else on stderr. */
export interface Reporter {
  readonly json: boolean;
  /** A result: JSON Lines only. */
  event(event: string, fields?: Readonly<Record<string, unknown>>): void;
  /** A line for people: stdout, or stderr beside JSON. */
  line(text: string): void;
  /** Something in passing: always stderr. */
  note(text: string): void;
  /** What is going on, one line that changes in place on a terminal. */
  status(text: string): void;
  /** Ends the changing line. */
  settle(): void;
}

export function makeReporter(json: boolean): Reporter {
  const write = json ? process.stderr : process.stdout;
  let spinner: Ora | undefined;
  const aside = (print: () => void): void => {
    // A line printed into a spinner would be torn.
    const text = spinner?.text;
    spinner?.stop();
    print();
    if (spinner !== undefined && text !== undefined) spinner.start(text);
  };
  return {
    json,
    event: (event, fields = {}) => {
      if (json) process.stdout.write(`${JSON.stringify({ event, ...fields })}\n`);
    },
    line: (text) => aside(() => write.write(`${text}\n`)),
    note: (text) => aside(() => process.stderr.write(`${text}\n`)),
    status: (text) => {
      if (!process.stderr.isTTY) return;
      spinner ??= ora({ stream: process.stderr, discardStdin: false });
      if (spinner.isSpinning) spinner.text = text;
      else spinner.start(text);
    },
    settle: () => {
      spinner?.stop();
      spinner = undefined;
    },
  };
}
