import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Allocator, type Block } from '../src/memory/allocator.ts';

const START = 4096;

/** What an allocator does, as fast-check makes it up: take so many bytes, or give back the n-th range in use. */
const steps = fc.array(
  fc.oneof(
    fc.record({ take: fc.oneof(fc.integer({ min: 0, max: 5000 }), fc.integer({ min: 0, max: 10_000_000 })) }),
    fc.record({ give: fc.nat() }),
  ),
  { maxLength: 200 },
);

describe('allocator', () => {
  it('hands out aligned ranges that never overlap, and joins them again when all are given back', () => {
    fc.assert(
      fc.property(steps, (plan) => {
        const allocator = new Allocator(START, () => true);
        const used: { block: Block; bytes: number }[] = [];
        for (const step of plan) {
          if ('take' in step) {
            const block = allocator.allocate(step.take)!;
            const fits = block.offset % 64 === 0 && block.offset >= START && block.size >= step.take;
            if (!fits) throw new Error(`${step.take} bytes at ${block.offset}+${block.size}`);
            for (const { block: other } of used) {
              const apart = block.offset + block.size <= other.offset || other.offset + other.size <= block.offset;
              if (!apart) throw new Error(`${block.offset}+${block.size} overlaps ${other.offset}+${other.size}`);
            }
            used.push({ block, bytes: step.take });
          } else if (used.length > 0) {
            const [given] = used.splice(step.give % used.length, 1);
            allocator.free(given!.block, 0);
          }
        }
        const bytesInUse = used.reduce((sum, { block }) => sum + block.size, 0);
        expect(allocator.fragmentation().free).toBe(allocator.extent - bytesInUse);
        for (const { block } of used) allocator.free(block, 0);
        expect(allocator.fragmentation()).toEqual({ free: allocator.extent, largest: allocator.extent });
      }),
    );
  });

  it('reuses what was given back before it takes more', () => {
    const allocator = new Allocator(0, () => true);
    const blocks = Array.from({ length: 100 }, () => allocator.allocate(1000)!);
    const { top } = allocator;
    for (const block of blocks) allocator.free(block, 0);
    for (let i = 0; i < 100; i++) allocator.allocate(1000);
    expect(allocator.top).toBe(top);
  });

  it('takes the smallest of the ranges that fit', () => {
    const allocator = new Allocator(0, () => true);
    const [large, , small] = [1984, 64, 1024, 64].map((bytes) => allocator.allocate(bytes)!);
    allocator.free(large!, 0);
    allocator.free(small!, 0);
    expect(allocator.allocate(960)!.offset).toBe(small!.offset);
    expect(allocator.allocate(1984)!.offset).toBe(large!.offset);
  });

  it('finds ranges that no queued command uses, without growing', () => {
    const allocator = new Allocator(0, () => true);
    const block = allocator.allocate(640)!;
    allocator.free(block, 7);
    expect(allocator.allocateQuiet(640, 6)).toBeUndefined();
    expect(allocator.top).toBe(640);
    expect(allocator.allocateQuiet(640, 7)).toMatchObject({ offset: 0, quietAt: 7 });
    expect(allocator.allocateQuiet(64, 7)).toBeUndefined();
  });

  it('joins ranges at the later of their last uses', () => {
    const allocator = new Allocator(0, () => true);
    const [first, second, third] = [0, 1, 2].map(() => allocator.allocate(64)!);
    allocator.free(first!, 9);
    allocator.free(third!, 3);
    allocator.free(second!, 2);
    expect(allocator.allocateQuiet(192, 8)).toBeUndefined();
    expect(allocator.allocateQuiet(192, 9)!.offset).toBe(0);
  });

  it('gives nothing where memory does not grow, and still what is free', () => {
    const allocator = new Allocator(0, (end) => end <= 1024);
    const block = allocator.allocate(1000)!;
    expect(allocator.allocate(64)).toBeUndefined();
    allocator.free(block, 0);
    expect(allocator.allocate(1025)).toBeUndefined();
    expect(allocator.allocate(1024)!.offset).toBe(0);
  });

  it('keeps the extent of a training step over thousands of them', () => {
    const allocator = new Allocator(0, () => true);
    let state = 1;
    const random = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0;
      return (state >>> 8) % below;
    };
    const sizes = Array.from({ length: 60 }, () => 64 + random(4_000_000));
    const step = (): void => {
      const live = sizes.map((bytes) => allocator.allocate(bytes)!);
      while (live.length > 0) allocator.free(live.splice(random(live.length), 1)[0]!, 0);
    };
    step();
    const afterOne = allocator.top;
    for (let i = 0; i < 2000; i++) step();
    expect(allocator.top).toBe(afterOne);
  });
});
