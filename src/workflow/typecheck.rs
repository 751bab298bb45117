//! The author's types, checked by TypeScript's own compiler where the machine has one. The sandbox strips types and checks
//! none, so this is help and no condition.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Lines of complaint that are shown.
const SHOWN: usize = 20;

/// What the type check came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Types {
    /// They fit.
    Fit,
    /// They do not: the compiler's complaints.
    Wrong(Vec<String>),
    /// They were not looked at: why.
    Skipped(String),
}

/// Checks the directory's types with `tsc`: the project's own, one of a directory above, or one in `PATH`.
#[must_use]
pub fn check(dir: &Path) -> Types {
    if !dir.join("tsconfig.json").is_file() {
        return Types::Skipped("there is no tsconfig.json here".into());
    }
    let Some(tsc) = find(dir) else {
        return Types::Skipped("there is no tsc on this machine; `npm install --save-dev typescript` brings it".into());
    };
    let output = Command::new(&tsc)
        .args(["--noEmit", "--pretty", "false", "--project", "."])
        .current_dir(dir)
        .stdin(Stdio::null())
        .output();
    match output {
        Err(error) => Types::Skipped(format!("{} cannot be run: {error}", tsc.display())),
        Ok(output) if output.status.success() => Types::Fit,
        Ok(output) => {
            let said = if output.stdout.is_empty() { output.stderr } else { output.stdout };
            let said = String::from_utf8_lossy(&said);
            let mut lines: Vec<String> = said.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
            if lines.is_empty() {
                return Types::Skipped(format!("{} ended with {}", tsc.display(), output.status));
            }
            if lines.len() > SHOWN {
                let more = lines.len() - SHOWN;
                lines.truncate(SHOWN);
                lines.push(format!("… and {more} lines more"));
            }
            Types::Wrong(lines)
        }
    }
}

fn find(dir: &Path) -> Option<PathBuf> {
    // It is run in the directory, so its path must not depend on where we are.
    let dir = dir.canonicalize().ok()?;
    let local = dir.ancestors().map(|above| above.join("node_modules/.bin/tsc"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let global: Vec<PathBuf> =
        std::env::split_paths(&path).filter(|at| at.is_absolute()).map(|at| at.join("tsc")).collect();
    local.chain(global).find(|candidate| candidate.is_file())
}
