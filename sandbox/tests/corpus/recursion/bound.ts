// expect: threw; says: stack; memory_mib: 64
export default {
  async run(ctx) {
    let f: any = () => {};
    for (let i = 0; i < 4_000; i++) f = f.bind(null);
    f();
  },
};
