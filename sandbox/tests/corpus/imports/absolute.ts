// expect: forbidden_import; says: /etc/passwd
import text from "/etc/passwd" with { type: "text" };
export default { run: () => text };
