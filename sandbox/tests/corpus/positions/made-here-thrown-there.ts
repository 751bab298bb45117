// expect: threw; line: 4; says: made
export default {
  run() {
    const error = new Error("made");
    const thrower = (e: Error): never => {
      throw e;
    };

    thrower(error);
  },
};
