// expect: threw; line: 8; says: first
export default {
  run() {
    try {
      
      throw new Error("first");
    } catch (error) {
      throw new Error("first", { cause: error });
    }
  },
};
