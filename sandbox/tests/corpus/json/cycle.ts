// expect: threw; line: 6; says: circular
export default {
  async run(ctx) {
    const o: any = {};
    o.o = o;
    JSON.stringify(o);
  },
};
