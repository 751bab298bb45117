// How deep a call may go before the engine refuses, in several shapes.
export default {
  async run(ctx: any) {
    const depth = (f: (self: () => number) => number): number => {
      const self = (): number => {
        try {
          return 1 + f(self);
        } catch {
          return 1;
        }
      };
      return self();
    };
    ctx.log(depth((self) => self()));
    ctx.log(depth((self) => [1].map(self)[0] as number));
    ctx.log(depth((self) => JSON.parse("1", () => self())));
    ctx.log(depth((self) => Number("a".replace(/a/, () => `${self()}`))));
    ctx.log(depth((self) => Reflect.apply(self, null, [])));
    let nested = 1;
    for (; nested < 100_000; nested *= 2) {
      try {
        JSON.parse("[".repeat(nested) + "]".repeat(nested));
      } catch {
        break;
      }
    }
    ctx.log(nested);
  },
};
