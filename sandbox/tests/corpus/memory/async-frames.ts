// expect: out_of_memory
export default {
  async run(ctx) {
    async function waits(value: number) {
      await new Promise(() => {});
      return value;
    }
    const held: unknown[] = [];
    for (let i = 0; ; i++) held.push(waits(i));
  },
};
