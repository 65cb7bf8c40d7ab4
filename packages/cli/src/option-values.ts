import { InvalidArgumentError } from 'commander';

/** Parsers of option values; what they refuse becomes commander's message with the option's name. */
export function wholeNumber(least: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isSafeInteger(value) || value < least || text.trim() === '') {
      throw new InvalidArgumentError(`a whole number of ${least} or more is needed.`);
    }
    return value;
  };
}

export function numberBetween(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!(value >= low && value <= high) || text.trim() === '') {
      throw new InvalidArgumentError(
        high === Infinity ? `a number of ${low} or more is needed.` : `a number from ${low} to ${high} is needed.`,
      );
    }
    return value;
  };
}

/** `q_proj,v_proj` to a list; `all-linear` and regular expressions (with a character no name has) stay as they are. */
export function moduleNames(text: string): string | string[] {
  if (text === 'all-linear' || /[\\^$*+?()[\]{}|]/.test(text)) return text;
  return text.split(',').map((name) => name.trim());
}

/** `0,1,5` to a list. */
export function wholeNumbers(text: string): number[] {
  return text.split(',').map(wholeNumber(0));
}

/** `q_proj=16,up_proj=4` to a table; a comma or equals sign inside a name's regular expression is not possible here. */
export function patternTable(text: string): Record<string, number> {
  return Object.fromEntries(
    text.split(',').map((entry) => {
      const at = entry.lastIndexOf('=');
      const value = Number(entry.slice(at + 1));
      if (at < 1 || !(value > 0) || entry.slice(at + 1).trim() === '') {
        throw new InvalidArgumentError("entries such as 'q_proj=16' are needed, with commas between.");
      }
      return [entry.slice(0, at).trim(), value];
    }),
  );
}
