// expect: threw; says: stack
export default {
  async run(ctx) {
    const o: any = { toJSON() { return JSON.stringify(o); } };
    JSON.stringify(o);
  },
};
