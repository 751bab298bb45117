//! `top`: the pipeline as it runs, in a terminal. [`fetch`] asks a running binary's `/status`, [`draw`] makes a frame of the
//! answer, [`screen`] shows one frame after the other until somebody presses `q`.
//!
//! A frame is lines of text and nothing more, so that `--once` prints the very same for pipes and tests.

pub mod draw;
pub mod fetch;
mod screen;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use crate::chain::RpcUrl;
use draw::Sample;
use fetch::FetchError;
use screen::{Key, Screen};

/// How to look.
#[derive(Clone, Debug)]
pub struct TopOptions {
    /// Where the binary answers: its `telemetry.listen`, such as `http://127.0.0.1:9400`.
    pub url: RpcUrl,
    /// Prints one frame and ends.
    pub once: bool,
    /// Between two looks.
    pub every: Duration,
}

/// Why there is nothing to see.
#[derive(Debug, thiserror::Error)]
pub enum TopError {
    /// Nobody answers, or somebody else.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It cannot be shown live.
    #[error("this is no terminal: give `--once` for one frame")]
    NoTerminal,
    /// The terminal does not take what it is given.
    #[error("the terminal: {0}")]
    Terminal(#[from] std::io::Error),
}

/// Shows it. A binary that does not answer at the start is an error; one that stops answering is said so in the frame, and
/// asked again.
///
/// # Errors
/// Nothing answers, or there is no terminal.
pub async fn run(options: &TopOptions) -> Result<(), TopError> {
    let first = Sample::now(fetch::status(&options.url).await?);
    if options.once {
        let frame = draw::frame(&first, None, "", draw::WIDTH);
        // Leaves colours out where nobody sees them.
        let mut out = anstream::stdout().lock();
        for line in frame {
            writeln!(out, "{line}")?;
        }
        return Ok(());
    }
    if !std::io::stdout().is_terminal() {
        return Err(TopError::NoTerminal);
    }
    let mut screen = Screen::open()?;
    let (mut last, mut before, mut trouble) = (first, None, String::new());
    loop {
        let (width, height) = screen.size();
        let frame = draw::frame(&last, before.as_ref(), &trouble, width);
        screen.show(&frame, width, height)?;
        match screen.wait(options.every).await? {
            Key::Quit => return Ok(()),
            Key::Other => continue,
            Key::None => {}
        }
        match fetch::status(&options.url).await {
            Ok(status) => {
                before = Some(std::mem::replace(&mut last, Sample::now(status)));
                trouble.clear();
            }
            Err(error) => trouble = error.to_string(),
        }
    }
}
