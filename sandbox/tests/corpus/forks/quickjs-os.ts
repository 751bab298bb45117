// expect: threw
export default {
  async run(ctx) {
    (globalThis as any).os.exec(["/bin/sh"]);
  },
};
