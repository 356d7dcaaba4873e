//! Deliberate bugs: proof that the checkers of [`crate::check`] can fail.
//!
//! A checker that never found anything proves nothing. So mistakes that one could make here, and some that were made, can be put
//! back: a node is told of one in its [`NodeConfig`](crate::node::NodeConfig), simulations are run until a checker notices, and
//! `core/tests/bugs.rs` says which one did and after how many seeds.
//!
//! Only with the cargo feature `bugs`, which nothing but that test turns on. Without it the question [`Bugs::has`] is `false`
//! when the program is compiled, and what depends on it is not there.

/// Declares [`Bug`]: each with what is wrong, and the checkers that are expected to notice.
macro_rules! bugs {
    ($($(#[doc = $about:literal])+ $bug:ident => [$($checker:literal),+],)+) => {
        /// A mistake that can be made on purpose.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Bug {
            $($(#[doc = $about])+ $bug,)+
        }

        impl Bug {
            pub const ALL: &[Bug] = &[$(Bug::$bug),+];

            pub fn name(self) -> &'static str {
                match self {
                    $(Bug::$bug => stringify!($bug),)+
                }
            }

            /// What is wrong, in a sentence.
            pub fn about(self) -> &'static str {
                match self {
                    $(Bug::$bug => concat!($($about),+).trim_ascii(),)+
                }
            }

            /// The names of the checkers one of which must notice it.
            pub fn caught_by(self) -> &'static [&'static str] {
                match self {
                    $(Bug::$bug => &[$($checker),+],)+
                }
            }
        }
    };
}

bugs! {
    /// What waits for a write is let go before the write is durable: acknowledgements of entries, and votes.
    AcknowledgesBeforeSync => ["leaders", "prefixes", "acknowledged", "recovery"],
    /// A publish with `ack: one` is answered before its row in the outbox is durable.
    OutboxAcknowledgesBeforeSync => ["acknowledged", "outbox"],
    /// Commands are answered when the leader alone has stored them.
    AcknowledgesWithoutFollowers => ["acknowledged", "linearizable", "deletions"],
    /// A snapshot is installed when its state is there, without the messages that belong to it.
    SnapshotComesWithoutMessages => ["deliveries", "recovery", "linearizable"],
    /// A snapshot carries all but the tables by which repeats are recognised.
    SnapshotForgetsRepeats => ["once", "prefixes"],
    /// A member with an empty disk comes back as who it was, with its vote.
    WipedMemberVotes => ["acknowledged", "recovery", "deletions"],
    /// A member whose log lost its damaged end comes back as who it was.
    DamagedLogKeepsItsVote => ["acknowledged", "recovery"],
    /// A member whose folder lost its journals, and the mark that tells so, comes back as who it was.
    LostMarkIsTrusted => ["acknowledged", "recovery", "prefixes"],
    /// A restart forgets for whom this member voted in the present term.
    VoteIsForgotten => ["leaders"],
    /// Of an append a member takes only what lies behind its own log, and keeps what conflicts.
    ConflictIsKept => ["prefixes", "acknowledged", "recovery"],
    /// A restart forgets what waits in the outbox.
    OutboxIsLostAtRestart => ["acknowledged", "outbox", "recovery"],
    /// What waits in the outbox is removed when it is offered, not when it is in the log.
    OutboxForgetsWhatItOffered => ["acknowledged", "outbox", "recovery"],
    /// Every offer of the same outbox entry bears a number of its own.
    OutboxOffersUnderNewNumbers => ["once", "outbox"],
    /// A leader answers linearizable reads without asking whether it still leads.
    ReadsWithoutReadIndex => ["linearizable", "deletions", "cursors"],
    /// A leader answers linearizable reads for as long as it believes that nobody else can have been elected.
    ReadsByLease => ["linearizable", "deletions", "cursors"],
    /// Any holder answers linearizable reads.
    FollowersServeLeaderReads => ["linearizable"],
    /// A read with level `any` shows what is in the holder's log and not committed.
    AnyReadsTheUncommitted => ["prefixes", "refused", "linearizable"],
    /// A publish that is recognised as a repeat uses up an offset.
    RepeatsUseUpOffsets => ["offsets", "recovery"],
    /// The leader moves the cursor of a committing pull before the client has the messages.
    CursorMovesBeforeDelivery => ["cursors"],
    /// A late copy of a commit moves the cursor back.
    CursorMovesBack => ["cursors"],
    /// Numbers of requests begin again at every start.
    NumbersBeginAgain => ["acknowledged", "linearizable", "cursors", "deletions"],
    /// A request that is asked again bears a new number.
    RetriesUnderNewNumbers => ["once", "deletions"],
    /// A client is told that nothing was done though its command was proposed.
    SaysUnavailableThoughProposed => ["refused", "linearizable", "deletions"],
    /// Deletions are not remembered, so that a late copy of a `create_topic` makes the topic again.
    DeletionsAreForgotten => ["deletions"],
    /// A holder that has not heard of a name refuses it, and the leader is not asked.
    AnyHolderRefusesNames => ["registrations"],
    /// A topic that is created again, and a subscription that begins again, does not know what came before it.
    LateCopiesCount => ["deletions", "refused", "cursors", "linearizable"],
    /// A holder that gets a snapshot keeps the topics that were deleted meanwhile.
    SnapshotKeepsDeletedTopics => ["deletions", "prefixes"],
    /// The number of a deleted topic is given to the next one.
    TopicNumbersAreUsedAgain => ["prefixes", "deletions", "invented"],
    /// A message's time is what its leader's clock said, also where that is earlier than the time of the message before.
    TimesFollowTheClock => ["times"],
    /// A packet forgets where it has been when its next hop is chosen.
    PacketsForgetTheirTrail => ["routes"],
    /// A push subscriber that has fallen behind goes on at the end.
    PushSkipsToTheEnd => ["deliveries"],
    /// What a fetch brought is delivered without a look at which offset is due.
    PushRepeatsWhatWasFetched => ["deliveries"],
    /// A disk keeps a checkpoint in a crash, and loses the messages before it.
    CheckpointsOutliveMessages => ["deliveries", "recovery", "linearizable"],
    /// Damage on a member's disk is not repaired, and reads of it fail.
    DamagedRowsStay => ["recovery", "deliveries"],
    /// Frames are read without a look at their check sums.
    AlteredFramesAreBelieved => ["invented", "prefixes", "acknowledged", "linearizable"],
    /// Rows are read without a look at their check sums.
    ChecksumsAreNotCompared => ["checksums"],
    /// One client's pulls do not take turns: any number of them is begun at once.
    PullsTakeNoTurns => ["queues"],
    /// Publishes are taken however little room is left, by leaders and by followers.
    PublishesIgnoreTheReserve => ["storage"],
    /// A process ends when its disk is full.
    FullDiskEndsTheNode => ["storage"],
    /// A change of members is proposed as soon as its leader has applied the last one, whether or not the others know that.
    ChangesDoNotWait => ["changes"],
    /// Nobody hands the lead back to the home.
    HomeNeverLeadsAgain => ["recovery"],
}

/// The bug that a part of a node has: none, but in tests.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Bugs(#[cfg(feature = "bugs")] Option<Bug>);

impl Bugs {
    /// With this bug; without the feature `bugs`, with none.
    #[cfg_attr(not(feature = "bugs"), expect(unused_variables, reason = "without the feature there is no bug"))]
    pub fn of(bug: Option<Bug>) -> Bugs {
        Bugs(
            #[cfg(feature = "bugs")]
            bug,
        )
    }

    /// Whether this bug is there.
    #[cfg(feature = "bugs")]
    pub fn has(self, bug: Bug) -> bool {
        self.0 == Some(bug)
    }

    /// Never.
    #[cfg(not(feature = "bugs"))]
    #[inline(always)]
    pub const fn has(self, _: Bug) -> bool {
        false
    }
}
