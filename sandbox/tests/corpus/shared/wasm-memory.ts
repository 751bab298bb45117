// expect: threw; line: 4; says: WebAssembly
export default {
  async run(ctx) {
    new WebAssembly.Memory({ initial: 65_536, maximum: 65_536, shared: true });
  },
};
