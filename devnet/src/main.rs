use std::process::ExitCode;

use clap::Parser;
use ditto_devnet::options::Options;
use ditto_devnet::run;

// The devnet itself has little to do: most of the machine is for its children.
#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "ditto_devnet=info,error".into()),
        )
        .with_writer(std::io::stderr)
        .init();
    match run::run(Options::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("ditto-devnet: {error:#}");
            ExitCode::from(2)
        }
    }
}
