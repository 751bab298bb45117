// expect: threw; line: 4; says: 
export default {
  run() {
    const x: any = 1; (globalThis as any).y = () => { x.y.z = 1; }; (globalThis as any).y();
  },
};
