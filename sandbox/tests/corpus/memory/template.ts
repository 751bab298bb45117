// expect: threw | out_of_memory
export default {
  async run(ctx) {
    let text = "xxxxxxxx";
    for (;;) text = `${text}${text}${text}${text}`;
  },
};
