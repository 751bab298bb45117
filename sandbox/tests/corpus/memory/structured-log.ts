// expect: threw | out_of_memory
export default {
  async run(ctx) {
    let text = "x";
    for (let i = 0; i < 26; i++) text += text;
    ctx.log(text, text, { text });
  },
};
