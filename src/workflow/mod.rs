//! What a workflow's author works with: `ditto-operator workflow new|import|check|run|build|publish`.
//!
//! A workflow is a directory with `workflow.ts` and `workflow.toml` ([`manifest`]), or with the latter alone when it declares
//! its calls. [`check`] needs no chain, [`run`] makes
//! one run in the real sandbox against any node, [`publish`] brings it to the registry. All of them say what is wrong, where,
//! and what to do about it.

pub mod amount;
pub mod build;
pub mod check;
mod describe;
mod due;
mod excerpt;
mod explain;
pub mod import;
mod known;
pub mod manifest;
pub mod nodes;
mod notes;
mod place;
pub mod project;
pub mod publication;
pub mod publish;
mod recorder;
pub mod report;
pub mod run;
pub mod scaffold;
mod show;
mod typecheck;
mod units;
mod verdict;

use clap::Subcommand;

/// An author's tools.
#[derive(Subcommand)]
pub enum WorkflowCommand {
    /// Makes a directory with a workflow to start from.
    New(scaffold::NewOptions),
    /// Makes workflows of Ditto workflow documents: of each job one that declares its calls, without a script.
    Import(import::ImportOptions),
    /// Compiles the code, and checks triggers, policy and types. Needs no chain.
    Check(check::CheckOptions),
    /// Runs it once, in the real sandbox with its real limits. Nothing is sent.
    Run(run::RunOptions),
    /// Writes the one file that is published, and prints its hash.
    Build(build::BuildOptions),
    /// Publishes code, policy, session and workflow: what the chain does not have yet.
    Publish(publish::PublishOptions),
}

/// Does it; `false` when something is wrong with the workflow, which has been printed.
///
/// # Errors
/// When it could not be done.
pub fn act(command: WorkflowCommand) -> anyhow::Result<bool> {
    match command {
        WorkflowCommand::New(options) => scaffold::new(&options).map(|()| true),
        WorkflowCommand::Import(options) => import::run(&options),
        WorkflowCommand::Check(options) => check::run(&options),
        WorkflowCommand::Build(options) => build::run(&options).map(|()| true),
        WorkflowCommand::Run(options) => runtime()?.block_on(run::run(options)),
        WorkflowCommand::Publish(options) => runtime()?.block_on(publish::run(options)).map(|()| true),
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// `KEY=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
