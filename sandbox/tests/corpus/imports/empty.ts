// expect: forbidden_import; says: 
import "";
export default { run() {} };
