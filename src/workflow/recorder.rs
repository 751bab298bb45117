//! Reads on their way to a run, noted as they are answered.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ditto_sandbox::{ReadAnswer, ReadReply, ReadRequest, Reads};

/// A read that a run asked for.
#[derive(Clone, Debug)]
pub struct Noted {
    /// What was asked.
    pub request: ReadRequest,
    /// What came; nothing when the run ended before.
    pub answer: Option<ReadAnswer>,
    /// How long it took.
    pub took: Duration,
}

/// Stands between a run and whoever answers its reads.
pub struct Recorder {
    inner: Arc<dyn Reads>,
    noted: Arc<Mutex<Vec<Noted>>>,
}

impl Recorder {
    /// Notes what `inner` answers.
    #[must_use]
    pub fn new(inner: Arc<dyn Reads>) -> Self {
        Self { inner, noted: Arc::default() }
    }

    /// The reads in the order in which they were asked; the sandbox bounds their number.
    #[must_use]
    pub fn noted(&self) -> Vec<Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Reads for Recorder {
    fn read(&self, request: ReadRequest, reply: ReadReply) {
        let began = Instant::now();
        let index = {
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.push(Noted { request: request.clone(), answer: None, took: Duration::ZERO });
            noted.len() - 1
        };
        let shared = self.noted.clone();
        let watched = ReadReply::new(move |answer| {
            if let Some(read) = shared.lock().unwrap_or_else(PoisonError::into_inner).get_mut(index) {
                read.took = began.elapsed();
                read.answer = Some(answer.clone());
            }
            reply.answer(answer);
        });
        self.inner.read(request, watched);
    }
}
