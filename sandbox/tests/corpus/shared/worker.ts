// expect: threw; line: 4; says: not a function
export default {
  async run(ctx) {
    new (globalThis as any).Worker("data:text/javascript,for(;;){}");
  },
};
