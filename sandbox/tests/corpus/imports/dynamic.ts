// expect: forbidden_import; says: viem
export default { run: () => import("viem") };
