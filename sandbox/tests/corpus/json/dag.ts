// expect: timed_out | out_of_memory | threw
export default {
  async run(ctx) {
    let o: any = {};
    for (let i = 0; i < 60; i++) o = { a: o, b: o };
    JSON.stringify(o);
  },
};
