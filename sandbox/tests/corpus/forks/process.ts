// expect: threw; line: 4; says: of undefined
export default {
  async run(ctx) {
    (globalThis as any).process.kill(1);
  },
};
