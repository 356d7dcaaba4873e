//! The names registered in a group: publishers or subscribers.
//!
//! Registering a name again reports that it existed; deleting it ends the registration. Like all commands, both may
//! arrive twice and late: a copy of a creation never restores a deleted name, and a copy of a deletion never deletes a
//! name that was registered since.
//!
//! A registration contains the time of its last use, with the precision at which nodes report uses (see
//! `node::expiring`). A command in the log deletes the names that were unused for too long, so that every member
//! deletes the same ones.
//!
//! A registered name records none of its requests except the one that created it: the newest request of each
//! coordinator about *any* name of the registry is sufficient. A request with a smaller number was received before that
//! one. When a name is deleted, every request that its registry has met so far counts as late. Answering such a request
//! as if it had arrived just before the deletion is correct, because it was in progress then.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::apply::{is_late, remember};
use super::late::{Tombstones, VersionVector};
use super::{MAX_REGISTERED_BYTES, Outcome};
use crate::identity::RequestKey;
use crate::names::{PublisherId, SubscriberId};
use crate::time::Timestamp;
use crate::wire::answer::{ErrorCode, Failure};

/// Bytes of memory per name, without its text and its `before`.
const ENTRY_BYTES: usize = 152;

/// One of the two kinds of names.
pub(super) trait Registered: Ord + Clone {
    const WHAT: &str;
    const UNKNOWN: ErrorCode;

    fn text(&self) -> &str;
}

impl Registered for PublisherId {
    const WHAT: &str = "publisher";
    const UNKNOWN: ErrorCode = ErrorCode::UnknownPublisher;

    fn text(&self) -> &str {
        self.as_str()
    }
}

impl Registered for SubscriberId {
    const WHAT: &str = "subscriber";
    const UNKNOWN: ErrorCode = ErrorCode::UnknownSubscriber;

    fn text(&self) -> &str {
        self.as_str()
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(bound(deserialize = "N: Ord + Deserialize<'de>"))]
pub(super) struct Registry<N: Ord> {
    names: BTreeMap<N, Registration>,
    /// Requests about any of these names.
    met: VersionVector,
    /// Creations that were refused because there was no room.
    refused: VersionVector,
    /// Requests for names that are not registered.
    absent: Tombstones<N>,
    /// The newest deletions.
    deleted: VecDeque<Deletion>,
    /// The memory of `names`, in bytes.
    #[serde(skip)]
    bytes: usize,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Registration {
    created_by: RequestKey,
    /// Requests up to these were not meant for this registration: they found no such name, or an earlier one.
    before: VersionVector,
    used: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Deletion {
    created_by: RequestKey,
    deleted_by: RequestKey,
}

impl<N: Ord> Default for Registry<N> {
    fn default() -> Self {
        Registry {
            names: BTreeMap::new(),
            met: VersionVector::default(),
            refused: VersionVector::default(),
            absent: Tombstones::default(),
            deleted: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<N: Registered> Registry<N> {
    pub(super) fn contains(&self, name: &N) -> bool {
        self.names.contains_key(name)
    }

    /// The last reported use of a registered name.
    pub(super) fn used(&self, name: &N) -> Option<Timestamp> {
        self.names.get(name).map(|registration| registration.used)
    }

    pub(super) fn has_unused_since(&self, before: Timestamp) -> bool {
        self.names.values().any(|registration| registration.used < before)
    }

    /// The approximate memory of the registered names, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// The number of remembered absent names or deletions, whichever is larger.
    pub(super) fn removals(&self) -> usize {
        self.absent.len().max(self.deleted.len())
    }

    /// Recomputes the fields that are not encoded.
    pub(super) fn index(&mut self) {
        self.bytes = self.names.iter().map(|(name, registration)| weight(name, &registration.before)).sum();
    }

    /// Registers a name. `others`: the bytes used by the group's names of the other kind.
    pub(super) fn create(
        &mut self,
        key: RequestKey,
        name: &N,
        others: usize,
        now: Timestamp,
    ) -> Result<Outcome, Failure> {
        self.met.note(key);
        if self.deleted.iter().any(|deletion| deletion.created_by == key) {
            return Ok(Outcome::Registered { existed: false });
        }
        if let Some(present) = self.names.get_mut(name) {
            present.used = present.used.max(now);
            return Ok(Outcome::Registered { existed: present.created_by != key });
        }
        if self.absent.is_before_end(name, key) {
            return Ok(Outcome::Registered { existed: true });
        }
        let added = weight(name, self.absent.before(name));
        if self.refused.covers(key) || others + self.bytes + added > MAX_REGISTERED_BYTES {
            self.refused.note(key);
            return Err(is_full::<N>());
        }
        self.bytes += added;
        let before = self.absent.begin(name);
        self.names.insert(name.clone(), Registration { created_by: key, before, used: now });
        Ok(Outcome::Registered { existed: false })
    }

    pub(super) fn delete(&mut self, key: RequestKey, name: &N) -> Result<Outcome, Failure> {
        self.met.note(key);
        if self.deleted.iter().any(|deletion| deletion.deleted_by == key) {
            return Ok(Outcome::Unregistered);
        }
        let Some(present) = self.names.get(name) else {
            self.absent.note(name, key);
            return Err(is_unknown(name));
        };
        if present.before.covers(key) || is_late(key, present.created_by) {
            return Err(was_created_since(name));
        }
        self.remove(name, key);
        Ok(Outcome::Unregistered)
    }

    /// Records a use of the name. A deleted name stays deleted.
    pub(super) fn note_use(&mut self, name: &N, now: Timestamp) -> Result<Outcome, Failure> {
        let present = self.names.get_mut(name).ok_or_else(|| is_unknown(name))?;
        present.used = present.used.max(now);
        Ok(Outcome::Registered { existed: true })
    }

    /// Deletes every name that was last used before this time.
    pub(super) fn expire(&mut self, key: RequestKey, before: Timestamp) {
        let is_unused = |(_, registration): &(&N, &Registration)| registration.used < before;
        let unused: Vec<N> = self.names.iter().filter(is_unused).map(|(name, _)| name.clone()).collect();
        for name in unused {
            self.remove(&name, key);
        }
    }

    fn remove(&mut self, name: &N, deleted_by: RequestKey) {
        let Some(removed) = self.names.remove(name) else { return };
        self.bytes -= weight(name, &removed.before);
        remember(&mut self.deleted, Deletion { created_by: removed.created_by, deleted_by });
        self.absent.note_end(name, &self.met);
    }
}

fn weight<N: Registered>(name: &N, before: &VersionVector) -> usize {
    ENTRY_BYTES + name.text().len() + before.bytes()
}

fn is_full<N: Registered>() -> Failure {
    ErrorCode::LimitReached.because(format!(
        "this replica group has reached its limit of {} MiB for registered names; delete unused publishers and \
         subscribers, or choose another name for this {}, which may belong to another group",
        MAX_REGISTERED_BYTES >> 20,
        N::WHAT
    ))
}

/// `because` escapes the name for display.
fn is_unknown<N: Registered>(name: &N) -> Failure {
    N::UNKNOWN.because(format!("there is no {} `{}`", N::WHAT, name.text()))
}

fn was_created_since<N: Registered>(name: &N) -> Failure {
    N::UNKNOWN.because(format!(
        "{} `{}` was created again after this request was sent; to delete it, send the request again",
        N::WHAT,
        name.text()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Member;
    use crate::topics::REMOVALS_REMEMBERED;

    const NEW: Result<Outcome, ErrorCode> = Ok(Outcome::Registered { existed: false });
    const EXISTED: Result<Outcome, ErrorCode> = Ok(Outcome::Registered { existed: true });
    const DELETED: Result<Outcome, ErrorCode> = Ok(Outcome::Unregistered);
    const UNKNOWN: Result<Outcome, ErrorCode> = Err(ErrorCode::UnknownPublisher);

    #[derive(Default)]
    struct Story(Registry<PublisherId>);

    impl Story {
        fn create(&mut self, name: &str, by: RequestKey) -> Result<Outcome, ErrorCode> {
            self.0.create(by, &publisher(name), 0, Timestamp(0)).map_err(|failure| failure.code)
        }

        fn delete(&mut self, name: &str, by: RequestKey) -> Result<Outcome, ErrorCode> {
            self.0.delete(by, &publisher(name)).map_err(|failure| failure.code)
        }

        fn has(&self, name: &str) -> bool {
            self.0.contains(&publisher(name))
        }
    }

    fn publisher(name: &str) -> PublisherId {
        name.parse().unwrap()
    }

    fn key(coordinator: &str, number: u64) -> RequestKey {
        RequestKey { coordinator: Member::founding(coordinator.parse().unwrap()), number }
    }

    #[test]
    fn a_name_comes_and_goes_and_every_copy_has_the_outcome_of_the_first() {
        let mut story = Story::default();
        for _ in 0..2 {
            assert_eq!(story.create("ann", key("001", 1)), NEW);
            assert_eq!(story.create("ann", key("010", 1)), EXISTED);
        }
        for _ in 0..2 {
            assert_eq!(story.delete("ann", key("001", 2)), DELETED);
            assert_eq!(story.delete("ann", key("010", 2)), UNKNOWN);
        }
        assert_eq!((story.create("ann", key("001", 1)), story.create("ann", key("010", 1))), (NEW, EXISTED));
        assert!(!story.has("ann"), "late copies of creations bring nothing back");
        assert_eq!(story.create("ann", key("100", 1)), NEW);
        assert_eq!((story.delete("ann", key("001", 2)), story.delete("ann", key("010", 2))), (DELETED, UNKNOWN));
        assert_eq!(
            story.create("ann", key("001", 1)),
            NEW,
            "the first outcome, though there is another registration now"
        );
        assert!(story.has("ann"), "late copies of deletions take nothing away");
        assert_eq!(story.delete("ann", key("010", 3)), DELETED);
    }

    #[test]
    fn a_deletion_that_was_refused_deletes_nothing_later() {
        let mut story = Story::default();
        assert_eq!(story.delete("ann", key("001", 5)), UNKNOWN);
        assert_eq!(story.create("ann", key("010", 1)), NEW);
        for late in [5, 4] {
            assert_eq!(story.delete("ann", key("001", late)), UNKNOWN);
        }
        assert!(story.has("ann"));
        assert_eq!(story.delete("ann", key("001", 6)), DELETED);
    }

    #[test]
    fn of_one_coordinator_a_deletion_that_was_overtaken_by_the_creation_is_late() {
        let mut story = Story::default();
        assert_eq!(story.create("ann", key("001", 6)), NEW);
        assert_eq!(story.delete("ann", key("001", 5)), UNKNOWN);
        assert!(story.has("ann"));
    }

    #[test]
    fn what_concerns_other_names_makes_no_first_request_late() {
        let mut story = Story::default();
        assert_eq!(story.create("bob", key("001", 9)), NEW);
        assert_eq!(story.create("ann", key("001", 1)), NEW);
        assert_eq!(story.delete("bob", key("001", 2)), UNKNOWN, "taken in before bob was registered");
        assert_eq!(story.delete("bob", key("010", 1)), DELETED);
        assert!(story.has("ann"));
    }

    /// Registers long names until no more fit. Returns their number.
    fn fill(story: &mut Story) -> u64 {
        let fits = |number: &u64| story.create(&format!("{number:0>255}"), key("001", *number)).is_ok();
        (1..).take_while(fits).count() as u64
    }

    #[test]
    fn names_are_limited_by_bytes_and_room_comes_back_with_deletions() {
        let mut story = Story::default();
        let many = fill(&mut story);
        assert!(story.0.bytes() <= MAX_REGISTERED_BYTES && many > 50_000, "{many} names");
        let refused = key("001", many + 1);
        let failure = story.0.create(refused, &publisher("ann"), MAX_REGISTERED_BYTES, Timestamp(0)).unwrap_err();
        assert_eq!(failure.code, ErrorCode::LimitReached);
        assert!(failure.message.contains("limit of 32 MiB") && failure.message.contains("delete"), "{failure}");
        assert_eq!(story.create(&format!("{:0>255}", 1), key("010", 1)), EXISTED, "what is there costs nothing");
        let bytes = story.0.bytes();
        assert_eq!(story.delete(&format!("{:0>255}", 1), key("010", 2)), DELETED);
        assert!(story.0.bytes() < bytes);
        assert_eq!(story.create("ann", refused), Err(ErrorCode::LimitReached), "a copy of what was refused");
        assert_eq!(story.create("ann", key("001", many + 2)), NEW);
    }

    #[test]
    fn bytes_count_what_is_there_however_names_come_and_go() {
        let mut story = Story::default();
        for number in 0..500 {
            let name = format!("n{}", number % 7);
            let coordinator = if number % 3 == 0 { "001" } else { "010" };
            let _ = match number % 2 {
                0 => story.create(&name, key(coordinator, number)),
                _ => story.delete(&name, key(coordinator, number)),
            };
            let counted = story.0.bytes();
            story.0.index();
            assert_eq!(story.0.bytes(), counted);
        }
    }

    #[test]
    fn what_is_remembered_of_deleted_names_is_limited() {
        let mut story = Story::default();
        for number in 1..3 * REMOVALS_REMEMBERED as u64 {
            story.create(&number.to_string(), key("001", 2 * number)).unwrap();
            story.delete(&number.to_string(), key("001", 2 * number + 1)).unwrap();
        }
        assert_eq!((story.0.removals(), story.0.bytes()), (REMOVALS_REMEMBERED, 0));
    }

    #[test]
    fn names_that_are_not_used_expire_and_others_stay() {
        let mut story = Story::default();
        let create = |story: &mut Story, name, number, at| {
            story.0.create(key("001", number), &publisher(name), 0, Timestamp(at)).map_err(|failure| failure.code)
        };
        for (number, name) in [(1, "ann"), (2, "bob"), (3, "cid")] {
            assert_eq!(create(&mut story, name, number, 10), NEW);
        }
        assert!(story.0.note_use(&publisher("bob"), Timestamp(20)).is_ok());
        assert_eq!(create(&mut story, "cid", 4, 30), EXISTED, "creating it again is a use");
        assert!(story.0.has_unused_since(Timestamp(20)) && !story.0.has_unused_since(Timestamp(10)));
        story.0.expire(key("001", 5), Timestamp(20));
        assert_eq!((story.has("ann"), story.has("bob"), story.has("cid")), (false, true, true));
        let failure = story.0.note_use(&publisher("ann"), Timestamp(40)).unwrap_err();
        assert_eq!(failure.code, ErrorCode::UnknownPublisher, "a late use brings nothing back");
        assert_eq!(create(&mut story, "ann", 1, 50), NEW, "a copy of the first creation has its outcome");
        assert!(!story.has("ann"), "and brings nothing back");
        assert_eq!(create(&mut story, "ann", 6, 60), NEW);
        let counted = story.0.bytes();
        story.0.index();
        assert_eq!(story.0.bytes(), counted);
    }
}
