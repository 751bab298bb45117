// expect: threw; line: 4; says: here
const o = {
  get x(): number {
    throw new Error("here");
  },
};
export default { run: () => o.x as never };
