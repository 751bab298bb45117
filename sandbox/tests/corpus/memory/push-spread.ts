// expect: threw | out_of_memory
export default {
  async run(ctx) {
    // Either the arguments outgrow the stack or the array outgrows the heap.
    const held = [1];
    for (;;) held.push(...held);
  },
};
