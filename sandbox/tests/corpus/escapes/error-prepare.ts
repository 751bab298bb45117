// expect: nothing_to_do
export default {
  async run(ctx) {
    // The engine's call sites would lead to functions and receivers of the SDK.
    let seen: unknown;
    Reflect.set(Error, "prepareStackTrace", (_: unknown, sites: unknown) => (seen = sites));
    void new Error("x").stack;
    try {
      ctx.chain("x" as never);
    } catch (e) {
      void (e as Error).stack;
    }
    if (seen !== undefined) throw new Error("call sites");
  },
};
