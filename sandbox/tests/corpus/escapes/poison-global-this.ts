// expect: calls
export default {
  async run(ctx) {
    for (const name of Reflect.ownKeys(globalThis)) {
      try {
        delete (globalThis as any)[name];
      } catch {}
    }
    return [{ to: ctx.account }];
  },
};
