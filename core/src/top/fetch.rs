//! Asks a running binary for its `/status`.

use std::error::Error;
use std::time::Duration;

use alloy::transports::http::reqwest::{self, redirect};

use crate::chain::RpcUrl;
use crate::telemetry::status::Status;

/// After which a binary that took the connection does not answer.
const TIMEOUT: Duration = Duration::from_secs(3);
/// More than 64 slots and a thousand peers take. What answers need not be ours.
const MAX_BYTES: usize = 4 << 20;

/// Why there is no status. A URL is shown without what may be a credential in it.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Not a URL.
    #[error("{0} is not an http URL; write for example http://127.0.0.1:9400")]
    NotAUrl(RpcUrl),
    /// Nobody is there.
    #[error(
        "nothing answers at {url}: {cause}. Is it running, and is that its `telemetry.listen`? `--url` names another address"
    )]
    Silent {
        /// Where.
        url: RpcUrl,
        /// Why, in the system's words.
        cause: String,
    },
    /// Somebody is, who is not ours.
    #[error("what answers at {url} is neither ditto-operator nor ditto-aggregator: {cause}")]
    Stranger {
        /// Where.
        url: RpcUrl,
        /// What is wrong with the answer.
        cause: String,
    },
}

/// Asks once.
///
/// # Errors
/// Nobody answers there, or not as our binaries do.
pub async fn status(url: &RpcUrl) -> Result<Status, FetchError> {
    let silent = |error: reqwest::Error| FetchError::Silent { url: url.clone(), cause: cause(&error) };
    let stranger = |cause: String| FetchError::Stranger { url: url.clone(), cause };
    let mut whole: reqwest::Url = url.expose().parse().map_err(|_| FetchError::NotAUrl(url.clone()))?;
    if !matches!(whole.scheme(), "http" | "https") {
        return Err(FetchError::NotAUrl(url.clone()));
    }
    let path = format!("{}/status", whole.path().trim_end_matches('/'));
    whole.set_path(&path);
    // A proxy of the environment is for the world outside; this is next door.
    let client = reqwest::Client::builder().timeout(TIMEOUT).redirect(redirect::Policy::none()).no_proxy();
    let mut answer = client.build().map_err(silent)?.get(whole).send().await.map_err(silent)?;
    if !answer.status().is_success() {
        return Err(stranger(format!("it answers {}", answer.status())));
    }
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(silent)? {
        if bytes.len() + chunk.len() > MAX_BYTES {
            return Err(stranger(format!("its status has more than {MAX_BYTES} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    let status: Status = serde_json::from_slice(&bytes).map_err(|error| stranger(error.to_string()))?;
    if status.binary.starts_with("ditto-") {
        Ok(status)
    } else {
        Err(stranger("its status names no binary of ours".into()))
    }
}

/// The innermost cause: the outer ones repeat the URL, which may hold a credential.
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return format!("no answer within {} s", TIMEOUT.as_secs());
    }
    let mut innermost = error.source();
    while let Some(source) = innermost.and_then(Error::source) {
        innermost = Some(source);
    }
    innermost.map_or_else(|| "the request failed".to_owned(), ToString::to_string)
}
