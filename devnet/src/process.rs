//! Child processes: started with a log each, watched, and ended by their own pids.
//!
//! A child gets the kernel's promise to be killed when the devnet dies, so that nothing is left behind even when the
//! devnet is killed. That promise hangs on the *thread* that starts the child: children are started on the main thread.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

/// How long a child may take to end by itself.
const GRACE: Duration = Duration::from_secs(8);
/// How many bytes of a log are shown when its process fails.
const TAIL: usize = 3_000;

/// A running child.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
    ended: bool,
    /// How it was started.
    program: PathBuf,
    args: Vec<String>,
}

impl Process {
    /// The process's id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        if !self.ended {
            self.ended = !matches!(self.child.try_wait(), Ok(None));
        }
        !self.ended
    }

    fn signal(&mut self, signal: Signal) {
        // A child that ended and was not waited for keeps its pid, so this cannot hit another process.
        if self.runs()
            && let Some(pid) = Pid::from_raw(self.child.id().cast_signed())
            && let Err(error) = kill_process(pid, signal)
        {
            tracing::debug!(name = self.name, %error, "could not signal");
        }
    }
}

/// All children of a run. Dropping it kills them.
#[derive(Debug, Default)]
pub struct Children(Vec<Process>);

impl Children {
    /// Starts a child with its output in `log`.
    ///
    /// # Errors
    /// When it cannot be started, naming the program.
    pub fn start(&mut self, name: &str, program: &Path, args: &[&str], log: &Path) -> anyhow::Result<()> {
        let output = File::create(log).with_context(|| format!("cannot write the log {}", log.display()))?;
        let child = spawn(name, program, args, output)?;
        let (log, program) = (log.to_owned(), program.to_owned());
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.0.push(Process { name: name.to_owned(), child, log, ended: false, program, args });
        Ok(())
    }

    /// Starts a child that has ended anew, as it was started; its log goes on.
    ///
    /// # Errors
    /// When it was never started, still runs, or cannot be started.
    pub fn restart(&mut self, name: &str) -> anyhow::Result<()> {
        let Some(process) = self.get(name) else { bail!("{name} was not started") };
        anyhow::ensure!(!process.runs(), "{name} still runs");
        let log = &process.log;
        let output = File::options().append(true).open(log);
        let output = output.with_context(|| format!("cannot go on with the log {}", log.display()))?;
        let args: Vec<&str> = process.args.iter().map(String::as_str).collect();
        process.child = spawn(name, &process.program, &args, output)?;
        process.ended = false;
        Ok(())
    }

    /// Waits until a child that was killed is gone.
    pub fn reap(&mut self, name: &str) {
        if let Some(process) = self.get(name)
            && !process.ended
        {
            // A killed child is gone at once.
            process.ended = process.child.wait().is_ok();
        }
    }

    /// The child of this name.
    pub fn get(&mut self, name: &str) -> Option<&mut Process> {
        self.0.iter_mut().find(|process| process.name == name)
    }

    /// Kills a child at once, as a power cut would.
    pub fn kill(&mut self, name: &str) {
        if let Some(process) = self.get(name) {
            process.signal(Signal::KILL);
        }
    }

    /// Fails when one of these children has ended by itself, showing the end of its log.
    ///
    /// # Errors
    /// Says which, and what it said last.
    pub fn all_run<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) -> anyhow::Result<()> {
        for name in names {
            if let Some(process) = self.get(name)
                && !process.runs()
            {
                bail!("{name} has ended by itself.\n{}", self.tail(name));
            }
        }
        Ok(())
    }

    /// The end of a child's log.
    pub fn tail(&mut self, name: &str) -> String {
        let Some(process) = self.get(name) else { return format!("{name} was not started") };
        let path = process.log.display().to_string();
        let bytes = std::fs::read(&process.log).unwrap_or_default();
        let end = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(TAIL)..]).into_owned();
        format!("The end of {path}:\n{}", end.trim_end())
    }

    /// Ends all children: the nodes first, side by side, then (in the order of their start, the first last) the chain.
    pub async fn end(&mut self) {
        let first = self.0.len().min(1);
        let (chain, nodes) = self.0.split_at_mut(first);
        end(nodes).await;
        end(chain).await;
        self.0.clear();
    }
}

fn spawn(name: &str, program: &Path, args: &[&str], output: File) -> anyhow::Result<Child> {
    let errors = output.try_clone().context("cannot share a log file")?;
    let mut command = Command::new(program);
    // A group of its own: Ctrl-C in the terminal is for the devnet, which then ends its children in order.
    command.args(args).stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
    // SAFETY: between fork and exec only one system call is made, which neither allocates nor locks.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    command.spawn().with_context(|| format!("cannot start {} ({name})", program.display()))
}

async fn end(processes: &mut [Process]) {
    for process in processes.iter_mut() {
        process.signal(Signal::TERM);
    }
    let deadline = tokio::time::Instant::now() + GRACE;
    while processes.iter_mut().any(Process::runs) && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    for process in processes.iter_mut().filter(|process| !process.ended) {
        tracing::warn!(name = process.name, "did not end in time and is killed");
        process.signal(Signal::KILL);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if !self.ended {
            // Reaps it; a child that was killed is gone at once.
            self.child.wait().ok();
        }
    }
}
