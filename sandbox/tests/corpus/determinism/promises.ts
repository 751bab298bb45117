// The order of microtasks, with every way to make one.
export default {
  async run(ctx: any) {
    const order: string[] = [];
    const note = (name: string) => () => void order.push(name);
    const thenable = { then(resolve: () => void) { order.push("then"); resolve(); } };
    const tasks = [
      Promise.resolve().then(note("a1")).then(note("a2")).then(note("a3")),
      (async () => { await null; order.push("b1"); await thenable; order.push("b2"); })(),
      new Promise<void>((resolve) => resolve(thenable as any)).then(note("c1")),
      Promise.reject(1).catch(note("d1")).finally(note("d2")),
      (async () => { for await (const x of [1, Promise.resolve(2), thenable]) order.push(`e${x}`); })(),
      (async () => { async function* g() { yield 1; yield Promise.resolve(2); } for await (const x of g()) order.push(`f${x}`); })(),
      Promise.allSettled([Promise.resolve(1), Promise.reject(2)]).then(note("g")),
      Promise.any([Promise.reject(1), Promise.resolve(2)]).then(note("h")),
      Promise.race([new Promise(() => {}), null]).then(note("i")),
    ];
    order.push("sync");
    await Promise.all(tasks);
    ctx.log(order.join());
    return [{ to: ctx.account }];
  },
};
