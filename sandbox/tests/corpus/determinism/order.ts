// Orders: of properties, of sorts, of iterations, of globals.
export default {
  async run(ctx: any) {
    const show = (name: string, text: string) => {
      let hash = 0;
      for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
      ctx.log(name, hash, text.length, text.slice(0, 600));
    };
    show("globals", Reflect.ownKeys(globalThis).map(String).join());
    for (const value of [Object, Array, String, Number, Math, JSON, Reflect, Promise, Map, RegExp, Date, Error, ArrayBuffer] as any[]) {
      const keys = (o: any) => (o ? Reflect.ownKeys(o).map(String).join() : "");
      show(value.name ?? String(value), `${keys(value)};${keys(value.prototype)}`);
    }
    const mixed: any = { b: 1, a: 2, 10: 3, 9: 4, "-1": 5, [Symbol.iterator]: 6, "01": 7, 4294967295: 8, 4294967294: 9 };
    delete mixed.b;
    mixed.b = 1;
    show("mixed", Reflect.ownKeys(mixed).map(String).join() + JSON.stringify(mixed));
    const inherited: any = Object.create({ z: 1, 5: 2, x: 3 });
    Object.assign(inherited, { y: 1, x: 2, 7: 3 });
    const walked: string[] = [];
    for (const key in inherited) walked.push(key);
    show("for-in", walked.join());
    const many: any = {};
    for (let i = 0; i < 2_000; i++) many[`k${(i * 7_919) % 2_003}`] = i;
    for (let i = 0; i < 1_000; i += 3) delete many[`k${i}`];
    show("many", Object.keys(many).join());
    const rows = Array.from({ length: 2_000 }, (_, i) => ({ i, key: (i * 31) % 7 }));
    show("stable", rows.sort((a, b) => a.key - b.key).map((row) => row.i).join());
    show("inconsistent", rows.map((row) => row.i).sort((a, b) => ((a * b) % 3) - 1).join());
    show("default", [10, 9, 1, "b", "a", "B", "\u00e9", "z", undefined, null, NaN, -0].sort().map(String).join());
    show("typed", [...new Float64Array([NaN, 3, -0, 0, -Infinity, 1]).sort()].map((x) => Object.is(x, -0) ? "-0" : x).join());
    show("grouped", JSON.stringify(Object.groupBy(rows.slice(0, 50), (row: any) => `g${row.key}`)));
    const map = new Map<any, number>([["a", 1], [1, 2], [NaN, 3], [-0, 4], [1n, 5]]);
    map.delete(1);
    map.set(1, 6);
    show("map", [...map].map(String).join(";"));
    return [{ to: ctx.account }];
  },
};
