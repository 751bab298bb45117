// expect: nothing_to_do
export default {
  async run(ctx) {
    let f: any = () => 0;
    for (let i = 0; i < 100_000; i++) {
      const g = f;
      f = () => g;
    }
    f = null;
  },
};
