// expect: bad_output
export default {
  async run(ctx) {
    return [new Proxy({}, { ownKeys() { throw Object.create(null); } })] as never;
  },
};
