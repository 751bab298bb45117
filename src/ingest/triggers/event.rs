//! Event triggers: which logs they mean.

use alloy::primitives::{Address, B256};
use alloy::sol_types::SolValue;
use ditto_core::chain::bindings::registry::WorkflowRegistry;
use ditto_sandbox::{LOG_ALTERNATIVES, Read};

use super::MAX_TRIGGER_BYTES;

/// Indexed parameters of an event: topics besides the signature.
const MAX_TOPICS: usize = 3;

/// Logs of one contract with one signature, and with these indexed parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EventFilter {
    /// EIP-155 id of the chain.
    pub chain_id: u64,
    /// Who emits.
    pub emitter: Address,
    /// Topic 0.
    pub signature: B256,
    /// For topics 1 to 3 the accepted values of each; none: any.
    pub topics: Vec<Vec<B256>>,
}

impl EventFilter {
    /// Reads a published event trigger, and says why it is none.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(data: &[u8]) -> Result<Self, String> {
        if data.len() > MAX_TRIGGER_BYTES {
            return Err(format!("it has {} bytes, {MAX_TRIGGER_BYTES} are allowed", data.len()));
        }
        let event =
            WorkflowRegistry::EventTrigger::abi_decode_validate(data).map_err(|_| "not abi.encode(EventTrigger)")?;
        let filter =
            Self { chain_id: event.chainId, emitter: event.emitter, signature: event.signature, topics: event.topics };
        filter.check()?;
        Ok(filter)
    }

    fn check(&self) -> Result<(), String> {
        if self.signature.is_zero() {
            return Err("an event without a signature cannot be told from others".into());
        }
        if self.topics.len() > MAX_TOPICS {
            return Err(format!("{} indexed parameters, an event has {MAX_TOPICS} at most", self.topics.len()));
        }
        if self.topics.iter().any(|values| values.len() > LOG_ALTERNATIVES) {
            return Err(format!("more than {LOG_ALTERNATIVES} values for one indexed parameter"));
        }
        Ok(())
    }

    /// As it is published.
    ///
    /// # Errors
    /// When the registry or the operators would not take it.
    pub fn published(&self) -> Result<Vec<u8>, String> {
        let event = WorkflowRegistry::EventTrigger {
            chainId: self.chain_id,
            emitter: self.emitter,
            signature: self.signature,
            topics: self.topics.clone(),
        };
        let data = event.abi_encode();
        Self::parse(&data).map(|_| data)
    }

    /// The read of these logs in blocks `first` to `last`.
    #[must_use]
    pub fn read(&self, first: u64, last: u64) -> Read {
        let mut topics = vec![vec![self.signature]];
        topics.extend(self.topics.iter().cloned());
        // Nodes take a trailing "any" for "there is such a topic".
        while topics.last().is_some_and(Vec::is_empty) {
            topics.pop();
        }
        Read::Logs { address: vec![self.emitter], topics, from_block: Some(first), to_block: Some(last) }
    }

    /// Whether a log is one of those: nodes are not believed.
    #[must_use]
    pub fn matches(&self, emitter: Address, topics: &[B256]) -> bool {
        emitter == self.emitter
            && topics.first() == Some(&self.signature)
            && self.topics.iter().enumerate().all(|(index, values)| {
                values.is_empty() || topics.get(index + 1).is_some_and(|topic| values.contains(topic))
            })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn filter(topics: Vec<Vec<B256>>) -> EventFilter {
        EventFilter { chain_id: 1, emitter: Address::repeat_byte(1), signature: B256::repeat_byte(2), topics }
    }

    #[test]
    fn an_empty_place_takes_any_topic_and_a_value_only_itself() {
        let [a, b, signature] = [3, 4, 2].map(B256::repeat_byte);
        let some = filter(vec![vec![], vec![a, b]]);
        let matches = |topics: &[B256]| some.matches(some.emitter, topics);
        assert!(matches(&[signature, a, a]) && matches(&[signature, b, b, b]));
        assert!(
            !matches(&[signature, a]) && !matches(&[signature, a, signature]) && !matches(&[a, a, a]) && !matches(&[])
        );
        assert!(!some.matches(Address::ZERO, &[signature, a, a]), "another contract");
        assert!(filter(vec![]).matches(some.emitter, &[signature]));
        assert!(filter(vec![vec![], vec![]]).matches(some.emitter, &[signature]), "as the node is asked");
    }

    #[test]
    fn a_node_is_asked_for_no_more_topics_than_are_said() {
        let Read::Logs { topics, from_block, to_block, .. } =
            filter(vec![vec![], vec![B256::repeat_byte(3)], vec![]]).read(16, 17)
        else {
            panic!("no logs")
        };
        assert_eq!(topics, [vec![B256::repeat_byte(2)], vec![], vec![B256::repeat_byte(3)]]);
        assert_eq!((from_block, to_block), (Some(16), Some(17)));
    }

    #[test]
    fn what_cannot_fire_is_no_trigger() {
        let word = B256::repeat_byte(9);
        for (filter, cause) in [
            (EventFilter { signature: B256::ZERO, ..filter(vec![]) }, "signature"),
            (filter(vec![vec![], vec![], vec![], vec![]]), "4 indexed"),
            (filter(vec![vec![word; 17]]), "more than 16"),
            (filter(vec![vec![word; 16]; 3]), "bytes"),
        ] {
            let error = filter.published().unwrap_err();
            assert!(error.contains(cause), "{error}");
        }
        assert!(EventFilter::parse(&[0xff; 256]).is_err() && EventFilter::parse(&[]).is_err());
    }

    proptest! {
        #[test]
        fn what_is_published_comes_back(values in proptest::collection::vec(proptest::collection::vec(any::<[u8; 32]>(), 0..5), 0..4)) {
            let topics = values.into_iter().map(|place| place.into_iter().map(B256::from).collect()).collect();
            let filter = filter(topics);
            prop_assert_eq!(EventFilter::parse(&filter.published().unwrap()).unwrap(), filter);
        }

        #[test]
        fn junk_never_panics(data in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _filter = EventFilter::parse(&data);
        }
    }
}
