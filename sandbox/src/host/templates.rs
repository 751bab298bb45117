//! A worker's templates: which code has one, which gets one, and which one goes when memory is short.

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use super::template::{ASSUMED_BYTES, Template};

/// Code that was seen once, and code that gets no template again, each at most this many.
const REMEMBERED: usize = 4_096;

/// What tells one template from another: the code, and how deep it may nest.
type Key = (Arc<[u8]>, u32);

pub(crate) enum Place {
    /// There is a template, with this token, and it can fork.
    Ready(u64),
    /// This code came a second time: it is worth one, which evaluates the module unless that failed before.
    Wanted { evaluates: bool },
    /// Compile it in the run.
    None,
}

/// What is lost with a template.
pub(crate) enum Lost {
    /// There was none.
    Nothing,
    /// This code's template has to do without evaluating it.
    Evaluation(Arc<[u8]>, u32),
    Template,
}

pub(crate) struct Templates {
    /// Private bytes of all of them together.
    budget: u64,
    by_token: HashMap<u64, Template>,
    by_code: HashMap<Key, u64>,
    /// Finds by address what is likely the same allocation as before, without looking at its bytes.
    by_address: HashMap<(usize, usize, u32), u64>,
    hasher: RandomState,
    seen: Recent,
    /// Code that looks at its run when it is evaluated: its templates leave that to the runs.
    unevaluated: Recent,
    refused: Recent,
    clock: u64,
}

/// The last so many hashes. Two codes may share one: then one of them gets its template a run early, or none.
#[derive(Default)]
struct Recent {
    order: VecDeque<u64>,
    known: std::collections::HashSet<u64>,
}

impl Recent {
    /// Whether it was there before.
    fn insert(&mut self, hash: u64) -> bool {
        if !self.known.insert(hash) {
            return true;
        }
        self.order.push_back(hash);
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        false
    }
}

impl Templates {
    pub(crate) fn new(budget: u64) -> Templates {
        Templates {
            budget,
            by_token: HashMap::new(),
            by_code: HashMap::new(),
            by_address: HashMap::new(),
            hasher: RandomState::new(),
            seen: Recent::default(),
            unevaluated: Recent::default(),
            refused: Recent::default(),
            clock: 0,
        }
    }

    /// What is there for this code, which is about to run.
    pub(crate) fn place(&mut self, code: &Arc<[u8]>, nesting: u32) -> Place {
        if self.budget < ASSUMED_BYTES {
            return Place::None;
        }
        let address = (code.as_ptr() as usize, code.len(), nesting);
        // A template holds its code, so another code cannot be at the same address.
        let known = self.by_address.get(&address).or_else(|| self.by_code.get(&(code.clone(), nesting))).copied();
        if let Some(token) = known {
            self.clock += 1;
            let Some(template) = self.by_token.get_mut(&token) else { return Place::None };
            template.last_use = self.clock;
            return if template.compiled() { Place::Ready(token) } else { Place::None };
        }
        let hash = self.hasher.hash_one((code, nesting));
        if !self.seen.insert(hash) || self.refused.known.contains(&hash) {
            return Place::None;
        }
        Place::Wanted { evaluates: !self.unevaluated.known.contains(&hash) }
    }

    pub(crate) fn insert(&mut self, token: u64, mut template: Template) {
        self.clock += 1;
        template.last_use = self.clock;
        template.bytes = ASSUMED_BYTES;
        self.by_code.insert((template.code.clone(), template.nesting), token);
        self.by_address.insert((template.code.as_ptr() as usize, template.code.len(), template.nesting), token);
        self.by_token.insert(token, template);
        self.make_room(token);
    }

    /// Drops the least recently used until the rest fits, but not `keep`, and none that owes runs.
    pub(crate) fn make_room(&mut self, keep: u64) {
        let mut bytes: u64 = self.by_token.values().map(|template| template.bytes).sum();
        while bytes > self.budget {
            let candidates = self.by_token.iter().filter(|(token, template)| **token != keep && template.idle());
            let Some((token, _)) = candidates.min_by_key(|(_, template)| template.last_use) else { return };
            let token = *token;
            bytes -= self.remove(token).map_or(0, |template| template.bytes);
        }
    }

    pub(crate) fn get_mut(&mut self, token: u64) -> Option<&mut Template> {
        self.by_token.get_mut(&token)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Template)> {
        self.by_token.iter().map(|(token, template)| (*token, template))
    }

    fn remove(&mut self, token: u64) -> Option<Template> {
        let template = self.by_token.remove(&token)?;
        self.by_code.remove(&(template.code.clone(), template.nesting));
        self.by_address.remove(&(template.code.as_ptr() as usize, template.code.len(), template.nesting));
        Some(template)
    }

    /// This one failed. Before it was ready, that may be the evaluating, and the next one of its code leaves it to the
    /// runs; otherwise its code gets no template for a long time.
    pub(crate) fn lose(&mut self, token: u64) -> Lost {
        let Some(template) = self.remove(token) else { return Lost::Nothing };
        let hash = self.hasher.hash_one((&template.code, template.nesting));
        if template.evaluates && !template.compiled() {
            self.unevaluated.insert(hash);
            return Lost::Evaluation(template.code.clone(), template.nesting);
        }
        self.refused.insert(hash);
        Lost::Template
    }

    /// Drops all of them, for their zygote is gone. What was seen stays seen.
    pub(crate) fn clear(&mut self) {
        self.by_token.clear();
        self.by_code.clear();
        self.by_address.clear();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)]
mod tests {
    use std::time::Duration;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn code(text: &str) -> Arc<[u8]> {
        text.as_bytes().into()
    }

    fn insert(templates: &mut Templates, token: u64, text: &str) {
        let (ours, _) = socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
        templates.insert(token, Template::new(code(text), 256, false, ours, Duration::from_secs(1)));
    }

    #[test]
    fn the_second_run_makes_a_template_and_a_failed_one_is_not_made_again() {
        let mut templates = Templates::new(64 << 20);
        assert!(matches!(templates.place(&code("a"), 256), Place::None));
        assert!(matches!(templates.place(&code("a"), 256), Place::Wanted { evaluates: true }));
        // Another limit is another template: what nests too deep is decided when it compiles.
        assert!(matches!(templates.place(&code("a"), 16), Place::None));
        insert(&mut templates, 1, "a");
        // It compiles: until it has, runs compile for themselves.
        assert!(matches!(templates.place(&code("a"), 256), Place::None));
        assert!(matches!(templates.lose(1), Lost::Template));
        assert!(matches!(templates.lose(1), Lost::Nothing));
        assert!(matches!(templates.place(&code("a"), 256), Place::None));
        assert_eq!(templates.by_token.len(), 0);
    }

    #[test]
    fn the_least_recently_used_goes_when_memory_is_short() {
        let mut templates = Templates::new(3 * ASSUMED_BYTES);
        for (token, text) in [(1, "a"), (2, "b"), (3, "c")] {
            insert(&mut templates, token, text);
        }
        assert_eq!(templates.by_token.len(), 3);
        templates.place(&code("a"), 256);
        insert(&mut templates, 4, "d");
        assert_eq!(templates.by_token.len(), 3);
        assert!(templates.get_mut(1).is_some() && templates.get_mut(2).is_none());
        // One that grew beyond everything stays alone.
        templates.get_mut(4).unwrap().bytes = 100 * ASSUMED_BYTES;
        templates.make_room(4);
        assert_eq!(templates.iter().map(|(token, _)| token).collect::<Vec<_>>(), [4]);
        assert!(matches!(Templates::new(0).place(&code("a"), 256), Place::None));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
        for hash in 0..3 * REMEMBERED as u64 {
            assert!(!recent.insert(hash));
        }
        assert_eq!((recent.order.len(), recent.known.len()), (REMEMBERED, REMEMBERED));
        assert!(recent.insert(3 * REMEMBERED as u64 - 1));
    }
}
