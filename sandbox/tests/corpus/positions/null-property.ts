// expect: threw; line: 5; says: 
export default {
  run() {
    const nothing: any = null;
    return nothing.x;
  },
};
