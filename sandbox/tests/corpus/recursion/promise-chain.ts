// expect: nothing_to_do
export default {
  async run(ctx) {
    // Settling a long chain of promises must not recurse.
    let p: Promise<unknown> = Promise.resolve();
    for (let i = 0; i < 20_000; i++) p = Promise.resolve(p).then((v) => v);
    await p;
  },
};
