// expect: calls | threw
export default {
  async run(ctx) {
    class Odd extends Promise<unknown> {
      static get [Symbol.species](): never {
        throw new Error("species");
      }
    }
    return Odd.resolve([{ to: ctx.account }]) as never;
  },
};
