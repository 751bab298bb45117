//! What a process that holds keys does before it reads the first one.

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

/// Sees to it that memory with keys in it reaches no disk and no other process: no core dump (`prctl(2)`,
/// `PR_SET_DUMPABLE`, and `RLIMIT_CORE` of zero, which also what is started from here has), and no debugger of another
/// process of the same user. The limit stays when the program is executed anew; the other does not.
///
/// # Errors
/// When the kernel refuses.
pub fn forbid_dumps() -> std::io::Result<()> {
    // The hard limit, too: whoever takes over this process cannot raise it again.
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    Ok(())
}
