// expect: threw | out_of_memory
export default {
  async run(ctx) {
    let text = "aaaa";
    for (;;) text = text.replaceAll("a", "aaaaaaaaaaaaaaaaaaaaaaaa");
  },
};
