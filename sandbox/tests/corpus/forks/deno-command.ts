// expect: threw; line: 4; says: of undefined
export default {
  async run(ctx) {
    new (globalThis as any).Deno.Command("/bin/sh").spawn();
  },
};
