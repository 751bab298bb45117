// Clocks, chance and place.
export default {
  async run(ctx: any) {
    const before = Date.now();
    let spin = 0;
    for (let i = 0; i < 20_000; i++) spin += i;
    await null;
    ctx.log(Date.now() - before, Date.now(), new Date().toISOString(), Date(), new Date().getTimezoneOffset(), spin);
    ctx.log(new Date(2024, 1, 29, 12).getTime(), new Date("2024-02-29T12:00:00").getTime(), Date.parse("Feb 29 2024"), new Date(NaN).getTime());
    ctx.log(new Date(0).toString(), new Date(0).toLocaleString(), new Date(0).toLocaleTimeString("de-DE", { timeZone: "Asia/Tokyo" }));
    for (let i = 0; i < 8; i++) ctx.log(Math.random(), Math.random());
    ctx.log(typeof (globalThis as any).performance, typeof (globalThis as any).Intl, typeof (globalThis as any).Temporal);
    const shuffled = Array.from({ length: 50 }, (_, i) => i).sort(() => Math.random() - 0.5);
    ctx.log(shuffled.join());
    return [{ to: ctx.account, value: BigInt(Math.floor(Math.random() * 2 ** 53)) }];
  },
};
