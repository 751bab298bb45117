// expect: out_of_memory | timed_out
export default {
  async run(ctx) {
    // What the heap's limit throws must not be something to catch and go on with.
    const held: unknown[] = [];
    for (;;) {
      try {
        for (;;) held.push(new Uint8Array(1 << 22).fill(1));
      } catch {
        held.length = 0;
      }
    }
  },
};
