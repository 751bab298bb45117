// expect: threw; line: 5; says: nowhere
type X = string;
export default {
  run(): X {
    return nowhere as X;
  },
};
