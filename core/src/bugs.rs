//! Deliberate bugs, which prove that the simulator's checkers (`core/sim`) can fail.
//!
//! A checker that never found anything proves nothing. Therefore plausible mistakes, some of which were really made,
//! can be enabled: a node receives one in its [`NodeConfig`](crate::node::NodeConfig), and simulations run until a
//! checker reports it. The test `core/sim/tests/bugs` reports which checker did, and after how many seeds.
//!
//! The bugs exist only in builds with debug assertions, as tests are, and with the cargo feature `bugs`, for tests in
//! release builds. In other builds, as those that serve clients, [`Bugs::has`] is `false` at compile time, and the code
//! that depends on it is removed.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Declares [`Bug`]: each bug with its description.
macro_rules! bugs {
    ($($(#[doc = $about:literal])+ $bug:ident,)+) => {
        /// A deliberate bug.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum Bug {
            $($(#[doc = $about])+ $bug,)+
        }

        impl Bug {
            /// All bugs, in order of declaration.
            pub const ALL: &[Bug] = &[$(Bug::$bug),+];

            /// The variant's name.
            pub fn name(self) -> &'static str {
                match self {
                    $(Bug::$bug => stringify!($bug),)+
                }
            }

            /// What is wrong, in one sentence.
            pub fn about(self) -> &'static str {
                match self {
                    $(Bug::$bug => concat!($($about),+).trim_ascii(),)+
                }
            }
        }
    };
}

bugs! {
    /// Acknowledgements of entries, and votes, are sent before the write that they depend on is durable.
    AcknowledgesBeforeSync,
    /// A publish with `ack: one` is answered before its row in the outbox is durable.
    OutboxAcknowledgesBeforeSync,
    /// Commands are answered when only the leader has stored them.
    AcknowledgesWithoutFollowers,
    /// A snapshot is installed as soon as its state has arrived, without its messages.
    SnapshotComesWithoutMessages,
    /// A snapshot lacks the tables by which repeats are recognised.
    SnapshotForgetsRepeats,
    /// A member with an empty disk returns under its old identity, with its vote.
    WipedMemberVotes,
    /// A member whose log lost its damaged end returns under its old identity.
    DamagedLogKeepsItsVote,
    /// A member whose folder lost its journals, and the commit marker that reveals the loss, returns under its old
    /// identity.
    LostCommitMarkerIsTrusted,
    /// A restarted member forgets its vote in the present term.
    VoteIsForgotten,
    /// A member stores only those entries of an append that lie past the end of its log, and keeps conflicting ones.
    ConflictIsKept,
    /// A restarted node forgets the publishes in its outbox.
    OutboxIsLostAtRestart,
    /// A publish is removed from the outbox when it is offered to the leader, not when it is in the log.
    OutboxForgetsWhatItOffered,
    /// Every offer of the same outbox entry has a new number.
    OutboxOffersUnderNewNumbers,
    /// A leader answers linearizable reads without confirming that it still leads.
    ReadsWithoutReadIndex,
    /// A leader answers linearizable reads for as long as its own clock rules out another leader.
    ReadsByLease,
    /// Any replica answers linearizable reads.
    FollowersServeLeaderReads,
    /// A read with level `any` returns uncommitted entries of the replica's log.
    AnyReadsTheUncommitted,
    /// A publish that is recognised as a repeat uses an offset.
    RepeatsUseUpOffsets,
    /// The leader moves the cursor of a committing pull before the client has the messages.
    CursorMovesBeforeDelivery,
    /// A late copy of a commit moves the cursor back.
    CursorMovesBack,
    /// Request numbers start again at every start of a node.
    NumbersBeginAgain,
    /// A retried request has a new number.
    RetriesUnderNewNumbers,
    /// A client receives `unavailable` although its command was proposed.
    SaysUnavailableThoughProposed,
    /// Deletions are not remembered, so a late copy of a `create_topic` creates the topic again.
    DeletionsAreForgotten,
    /// A replica that does not know a name refuses it without asking the leader.
    AnyReplicaRefusesNames,
    /// A topic that is created again, or a subscription that begins again, does not recognise requests from before it.
    LateCopiesCount,
    /// A replica that receives a snapshot keeps topics that were deleted in the meantime.
    SnapshotKeepsDeletedTopics,
    /// The number of a deleted topic is reused for the next one.
    TopicNumbersAreUsedAgain,
    /// A message's time is its leader's clock, even if that is earlier than the time of the preceding message.
    TimesFollowTheClock,
    /// The choice of the next hop ignores the nodes that a packet has already crossed.
    PacketsForgetTheirTrail,
    /// A push subscription that is behind skips to the end.
    PushSkipsToTheEnd,
    /// Fetched messages are delivered without checking which offset is due.
    PushRepeatsWhatWasFetched,
    /// In a crash, a disk keeps a checkpoint but loses the messages before it.
    CheckpointsOutliveMessages,
    /// Damaged messages on a member's disk are not repaired, and reads of them fail.
    DamagedRowsStay,
    /// Frames are read without verifying their checksums.
    AlteredFramesAreBelieved,
    /// Rows are read without verifying their checksums.
    ChecksumsAreNotCompared,
    /// Any number of one client's pulls run at once.
    PullsTakeNoTurns,
    /// Leaders and followers accept publishes regardless of the room left on their disks.
    PublishesIgnoreTheReserve,
    /// A process ends when its disk is full.
    FullDiskEndsTheNode,
    /// A leader proposes a change of members as soon as it has applied the previous one, before the others have.
    ChangesDoNotWait,
    /// Leadership is never handed back to the home.
    HomeNeverLeadsAgain,
}

/// The bug enabled in a part of a node. There is none outside of tests.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bugs(#[cfg(any(feature = "bugs", debug_assertions))] Option<Bug>);

impl Bugs {
    /// Enables this bug, if bugs exist in this build.
    #[cfg_attr(
        not(any(feature = "bugs", debug_assertions)),
        expect(unused_variables, reason = "there is no bug in this build")
    )]
    pub fn of(bug: Option<Bug>) -> Bugs {
        Bugs(
            #[cfg(any(feature = "bugs", debug_assertions))]
            bug,
        )
    }

    /// Whether this bug is enabled.
    #[cfg(any(feature = "bugs", debug_assertions))]
    pub fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }

    /// Always false, because there is no bug in this build.
    #[cfg(not(any(feature = "bugs", debug_assertions)))]
    #[inline(always)]
    pub const fn has(self, _: Bug) -> bool {
        false
    }
}

/// Written in the same way in all builds, so that each reads what another has written.
impl Serialize for Bugs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Bug::ALL.iter().find(|bug| self.has(**bug)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bugs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Bugs, D::Error> {
        Option::<Bug>::deserialize(deserializer).map(Bugs::of)
    }
}
