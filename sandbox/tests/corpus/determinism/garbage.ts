// What a garbage collector could let show: weak references, finalizers, weak maps, ids, and the memory a script used.
export default {
  async run(ctx: any) {
    const g = globalThis as any;
    ctx.log(typeof g.WeakRef, typeof g.FinalizationRegistry, typeof g.gc);
    const held = new WeakMap<object, number>();
    const kept: object[] = [];
    for (let i = 0; i < 5_000; i++) {
      const key = { i };
      held.set(key, i);
      if (i % 500 === 0) kept.push(key);
    }
    await null;
    ctx.log(kept.map((key) => held.get(key)).join());
    // Keys by address, if any order leaked one.
    const objects = Array.from({ length: 200 }, (_, i) => ({ i }));
    const map = new Map(objects.map((o) => [o, o.i]));
    ctx.log([...map.values()].join());
    ctx.log([...new Set([...objects].reverse())].map((o) => o.i).join());
    const symbols = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [Symbol(`s${i}`), i]));
    ctx.log(Reflect.ownKeys(symbols).map((key) => key.toString()).join());
    ctx.log([[{}, {}, {}].toString(), `${() => 1}`, String(Math.max), String(class A {}), String(Symbol())].join());
    // Fresh memory must hold nothing of anybody.
    const fresh = [new Uint8Array(4_096), new Uint8Array(new ArrayBuffer(100_000)), new Float64Array(512)];
    ctx.log(fresh.map((data) => data.reduce((sum: number, byte: number) => sum + byte, 0)).join());
    return [{ to: ctx.account }];
  },
};
