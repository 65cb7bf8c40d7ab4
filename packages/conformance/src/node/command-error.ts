/** What is wrong with the command line or with what it names, told without a stack. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}
