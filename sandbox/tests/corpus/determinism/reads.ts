// Reads in flight at once, answered in whatever order: races, reverts, chains of reads that depend on each other.
const address = (n: number) => `0x${n.toString(16).padStart(40, "0")}` as const;
export default {
  async run(ctx: any) {
    const chain = ctx.chain(31337);
    const order: string[] = [];
    const ask = (n: number) => chain.getBalance(address(n)).then((v: bigint) => (order.push(`${n}=${v}`), v));
    const call = (n: number) => chain.call({ to: address(n) }).then((r: any) => (order.push(`call ${n}`), r.data), (e: Error) => (order.push(`${n}: ${e.message}`), "0x"));
    const all = await Promise.all([1, 2, 3, 4, 5].map(ask));
    ctx.log(order.join(), all.join());
    ctx.log(await Promise.race([ask(6), ask(7), ask(8)]), order.join());
    ctx.log(await Promise.any([call(0xdead), ask(9), call(10)]), order.join());
    ctx.log(JSON.stringify((await Promise.allSettled([call(0xdead), chain.call({ to: address(0xdead) }), ask(11)])).map((r) => `${(r as any).reason ?? (r as any).value}`)));
    const deep = async (n: number, left: number): Promise<bigint> => {
      const value: bigint = await ask(n);
      return left === 0 ? value : deep(Number(value % 50n) + 100, left - 1);
    };
    ctx.log((await Promise.all([deep(20, 3), deep(21, 2), deep(22, 1)])).join(), order.join().slice(-500));
    // One that nobody waits for, when the run ends.
    void ask(99);
    return [{ to: ctx.account, value: all[0] & 0xffffn }];
  },
};
