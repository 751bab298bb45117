// expect: forbidden_import; says: data:text/javascript,export default 1
import one from "data:text/javascript,export default 1";
export default { run: () => one };
