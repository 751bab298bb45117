// expect: out_of_memory
export default {
  async run(ctx) {
    let text = "x";
    for (;;) {
      text += text;
      text.charCodeAt(3);
    }
  },
};
