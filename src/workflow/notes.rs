//! What the parts of the operator that a run is made of would have written to the log, kept for its author: why a read
//! failed is in there.

use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Warnings that are kept.
const KEPT: usize = 32;

/// Keeps warnings and errors. Clones share what is kept.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    /// What was kept, the same thing only once.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Notes {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if *event.metadata().level() > Level::WARN {
            return;
        }
        let mut text = Text::default();
        event.record(&mut text);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = text.error.unwrap_or(text.message);
        if kept.len() < KEPT && !kept.contains(&text) {
            kept.push(text);
        }
    }
}

#[derive(Default)]
struct Text {
    message: String,
    error: Option<String>,
}

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            // An error says what the message introduces.
            "error" => self.error = Some(format!("{value:?}")),
            name => self.message.push_str(&format!(" {name}={value:?}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn warnings_are_kept_once_and_the_rest_is_not() {
        let notes = Notes::default();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(notes.clone()), || {
            for _ in 0..3 {
                tracing::warn!(error = %"the node is down", "a read failed");
            }
            tracing::info!("nothing to see");
            tracing::error!("worse");
        });
        assert_eq!(notes.take(), ["the node is down", "worse"]);
        assert!(notes.take().is_empty());
    }
}
