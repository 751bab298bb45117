// expect: nothing_to_do; memory_mib: 64
export default {
  async run(ctx) {
    // Freeing a long list must not recurse.
    let list: any = null;
    for (let i = 0; i < 60_000; i++) list = { list };
    list = null;
  },
};
