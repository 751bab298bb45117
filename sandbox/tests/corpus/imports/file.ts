// expect: forbidden_import; says: file:///proc/self/environ
import "file:///proc/self/environ";
export default { run() {} };
