/** Pipelines are cached by the program object: one object for each combination of arguments. */
export function memoized<Arguments extends readonly (string | number | boolean)[], Result>(
  make: (...args: Arguments) => Result,
): (...args: Arguments) => Result {
  const made = new Map<string, Result>();
  return (...args) => {
    const key = args.join();
    const known = made.get(key) ?? make(...args);
    made.set(key, known);
    return known;
  };
}
