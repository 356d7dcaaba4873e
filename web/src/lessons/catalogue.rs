//! The lessons. Their topic is `news`: its hash ends in 100, so node 100 is its home, and 101, 110 and 000 are its
//! replicas.

use cubecast_core::client::Target;
use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::identity::HostId;
use cubecast_core::names::Offset;
use cubecast_core::wire::client::{Ack, Action, Read, ReadLevel};

use super::{Expectation, Guess, Lesson, LessonStep};
use crate::model::State;
use crate::model::cluster::Health;
use crate::model::task::{Panel, Task, TaskStep};
use crate::model::tasks;

const TOPIC: &str = "news";
const HOME: &str = "100";
/// Its home is 010, far from the nodes that the lessons break: faults must not affect the publisher's registration.
const PUBLISHER: &str = "grace";

/// In the recommended order.
pub fn all() -> Vec<Lesson> {
    vec![placement(), replication(), failover(), wipe(), consistency(), partition(), minority()]
}

/// `None` if no lesson has this name.
pub fn lesson(id: &str) -> Option<Lesson> {
    all().into_iter().find(|lesson| lesson.id == id)
}

/// Why a lesson cannot begin on this live cluster, and what to do about it; `None` if it can.
pub fn lacks(state: &State) -> Option<String> {
    let cluster = &state.cluster;
    match cluster.dimension.map(|dimension| dimension.bits()) {
        None => return Some("Lessons are available once this page is connected to a cluster.".into()),
        Some(3) => {}
        Some(_) => {
            return Some(
                "The lessons need a cluster of eight nodes. This cluster has another size: take them in Simulated."
                    .into(),
            );
        }
    }
    if cluster.seating()?.hosts().any(|node| cluster.health(node) != Health::Up) {
        return Some("Lessons are available once all eight nodes are up.".into());
    }
    has_topic(state).then(|| {
        format!("The lessons create the topic {TOPIC}: delete the existing one first, or take them in Simulated.")
    })
}

/// The task that removes what a lesson left in a live cluster; `None` if nothing is left.
pub fn left_over(state: &State) -> Option<Task> {
    has_topic(state).then(|| tasks::delete_topic(PUBLISHER, TOPIC).expect("these are names"))
}

fn has_topic(state: &State) -> bool {
    state.topics.topics.keys().any(|topic| topic.as_str() == TOPIC)
}

fn placement() -> Lesson {
    Lesson {
        id: "placement",
        title: "Where does a topic live?",
        about: "A topic's name alone determines which nodes store it. No directory is needed.",
        topic: TOPIC,
        steps: vec![
            LessonStep {
                text: "Each node is a corner of a cube and is named by its bits. \
                    The SHA-256 hash of “news” ends in the bits 100.",
                guess: Some(Guess {
                    question: "Which node will be the home of news?",
                    choices: &["The one that receives the request", "100", "Any with free space"],
                    right: 1,
                    because: "The last three bits of the hash are the home's name. \
                        Every node and every client computes the same home.",
                }),
                button: "Create news",
                tasks: vec![(0, create())],
                by_ms: 1_500,
                expected: vec![
                    Expectation::TopicAt { topic: TOPIC, home: HOME },
                    Expectation::Leads { node: HOME, group: HOME },
                ],
            },
            LessonStep {
                text: "The home does not hold the only copy: \
                    its neighbour along each of the three edges keeps a replica.",
                guess: Some(Guess {
                    question: "How many of the eight nodes will store a message to news?",
                    choices: &["1", "4", "8"],
                    right: 1,
                    because: "The home and its three neighbours: 100, 101, 110 and 000. \
                        On a cube of dimension d, d + 1 nodes store it.",
                }),
                button: "Publish a message",
                tasks: vec![(0, publish("hello", Ack::Quorum))],
                by_ms: 1_500,
                expected: vec![
                    Expectation::StoredOn { topic: TOPIC, offset: 0, replicas: 4 },
                    Expectation::Messages { topic: TOPIC, count: 1 },
                ],
            },
        ],
    }
}

fn replication() -> Lesson {
    Lesson {
        id: "replication",
        title: "What does “stored” mean?",
        about: "The publisher chooses whether a publish waits for one node, for a majority, \
            or for all replicas that are up.",
        topic: TOPIC,
        steps: vec![
            LessonStep {
                text: "With “quorum”, a publish is acknowledged \
                    once a majority of the four replicas has stored it on disk.",
                guess: None,
                button: "Create news and publish with quorum",
                tasks: vec![(0, create()), (300, publish("first", Ack::Quorum))],
                by_ms: 2_000,
                expected: vec![
                    Expectation::StoredAs { topic: TOPIC, offset: 0 },
                    Expectation::StoredOn { topic: TOPIC, offset: 0, replicas: 4 },
                ],
            },
            LessonStep {
                text: "Now replica 110 is paused for four seconds: it neither receives nor answers. \
                    We publish with quorum again.",
                guess: Some(Guess {
                    question: "Does the publish have to wait for 110?",
                    choices: &["Yes, until it is back", "No: three of four are a majority"],
                    right: 1,
                    because: "100, 101 and 000 are enough. 110 receives the message when it is back.",
                }),
                button: "Pause 110 and publish",
                tasks: vec![
                    (0, tasks::stop_node(named("110"), StopMode::Pause, 4_000)),
                    (300, publish("second", Ack::Quorum)),
                ],
                by_ms: 1_500,
                expected: vec![
                    Expectation::StoredAs { topic: TOPIC, offset: 1 },
                    Expectation::StoredOn { topic: TOPIC, offset: 1, replicas: 3 },
                ],
            },
            LessonStep {
                text: "A replica that was away receives the messages that it missed.",
                guess: None,
                button: "Wait for 110",
                tasks: Vec::new(),
                by_ms: 6_000,
                expected: vec![
                    Expectation::Is { node: "110", health: Health::Up },
                    Expectation::StoredOn { topic: TOPIC, offset: 1, replicas: 4 },
                ],
            },
        ],
    }
}

fn failover() -> Lesson {
    Lesson {
        id: "failover",
        title: "The leader dies",
        about: "A neighbour takes over within a second, no acknowledged message is lost, \
            and the home leads again once it has caught up.",
        topic: TOPIC,
        steps: vec![
            begin("One node orders all messages of a topic: the leader. It is the home whenever possible."),
            LessonStep {
                text: "We crash the leader for six seconds and publish in the meantime.",
                guess: Some(Guess {
                    question: "Which nodes can lead news while 100 is down?",
                    choices: &["Any of the other seven", "Only 101, 110 or 000", "None: news must wait"],
                    right: 1,
                    because: "Only a node that has the log can lead. \
                        The neighbours detected the broken connections at once and elected one of themselves.",
                }),
                button: "Crash 100 and publish",
                tasks: vec![
                    (0, tasks::stop_node(named(HOME), StopMode::Crash, 6_000)),
                    (500, publish("second", Ack::Quorum)),
                ],
                by_ms: 3_000,
                expected: vec![
                    Expectation::Is { node: HOME, health: Health::Failed },
                    Expectation::LedByAnother { node: HOME, group: HOME },
                    Expectation::StoredAs { topic: TOPIC, offset: 1 },
                ],
            },
            LessonStep {
                text: "When 100 is back, it first fetches the messages that it missed.",
                guess: Some(Guess {
                    question: "Which node leads then?",
                    choices: &["The one that took over", "100 again, once it has caught up"],
                    right: 1,
                    because: "Leadership returns to the home, so that the load stays spread evenly over the cube, \
                        but never to a node that lacks entries.",
                }),
                button: "Wait for 100",
                tasks: Vec::new(),
                by_ms: 12_000,
                expected: vec![
                    Expectation::Is { node: HOME, health: Health::Up },
                    Expectation::Leads { node: HOME, group: HOME },
                    Expectation::StoredOn { topic: TOPIC, offset: 1, replicas: 4 },
                ],
            },
        ],
    }
}

fn wipe() -> Lesson {
    Lesson {
        id: "recovery",
        title: "A disk is lost",
        about: "A node that comes back with an empty disk rejoins as a new incarnation without votes, \
            and copies its data from its neighbours.",
        topic: TOPIC,
        steps: vec![
            begin("Four nodes store each message, so one of their disks can be lost without losing a message."),
            LessonStep {
                text: "We crash the home and erase its disk.",
                guess: Some(Guess {
                    question: "Is it safe for it to come back and vote as if nothing had happened?",
                    choices: &["Yes, it is the same machine", "No: its record of votes and acknowledgements is lost"],
                    right: 1,
                    because: "Its vote could help to undo what it acknowledged before. \
                        So it returns as a new incarnation without a vote, and can vote again once it has caught up.",
                }),
                button: "Wipe 100",
                tasks: vec![(0, tasks::stop_node(named(HOME), StopMode::Wipe, 2_000))],
                by_ms: 3_000,
                expected: vec![
                    Expectation::Is { node: HOME, health: Health::Failed },
                    Expectation::LedByAnother { node: HOME, group: HOME },
                    Expectation::IsSomebodyNew { node: HOME },
                ],
            },
            LessonStep {
                text: "Now it copies its data from its neighbours.",
                guess: None,
                button: "Wait, then publish with all",
                tasks: vec![(6_000, publish("again on four", Ack::All))],
                by_ms: 12_000,
                expected: vec![
                    Expectation::Leads { node: HOME, group: HOME },
                    Expectation::StoredOn { topic: TOPIC, offset: 1, replicas: 4 },
                    Expectation::AllAlike { group: HOME },
                ],
            },
        ],
    }
}

fn consistency() -> Lesson {
    let slow = LinkConditions { delay_ms: 600, ..LinkConditions::PERFECT };
    let into_110 = [("100", "110"), ("010", "110"), ("111", "110")].map(|(from, to)| (named(from), named(to)));
    Lesson {
        id: "consistency",
        title: "A stale read",
        about: "A replica answers at once but may lack the newest messages. \
            A reader that must not miss any reads from the leader.",
        topic: TOPIC,
        steps: vec![
            LessonStep {
                tasks: vec![(0, create()), (300, publish("first", Ack::All)), (800, read_leader())],
                expected: vec![
                    Expectation::StoredOn { topic: TOPIC, offset: 0, replicas: 4 },
                    Expectation::Pulled { count: 1 },
                ],
                button: "Create news, publish, read",
                ..begin("Every replica can answer a read. All of them have message #0, and a reader pulls it.")
            },
            LessonStep {
                text: "All links into replica 110 become slow: each frame to it is delayed by 600 ms. \
                    We publish, and 150 ms later read from 110.",
                guess: Some(Guess {
                    question: "The publish was acknowledged. What does replica 110 answer?",
                    choices: &["Both messages", "Only the first", "Nothing: it refuses the read"],
                    right: 1,
                    because: "A majority without 110 acknowledged the publish. \
                        The answer of 110 is correct but old: a stale read.",
                }),
                button: "Slow 110 down, publish, read there",
                tasks: vec![
                    (0, tasks::set_link(&into_110, slow)),
                    (1_500, publish("the newest", Ack::Quorum)),
                    (1_650, read_replica("110")),
                ],
                by_ms: 1_700,
                expected: vec![
                    Expectation::StoredAs { topic: TOPIC, offset: 1 },
                    Expectation::ReplicaReturned { topic: TOPIC, home: HOME, count: 1 },
                ],
            },
            LessonStep {
                text: "Now the same read with the level “leader”.",
                guess: Some(Guess {
                    question: "Which messages does it return?",
                    choices: &["Both messages", "Only the first"],
                    right: 0,
                    because: "The leader first confirms that it still leads, then answers from its own log. \
                        The log contains everything that was acknowledged before.",
                }),
                button: "Read with leader",
                tasks: vec![(0, read_leader())],
                by_ms: 2_000,
                expected: vec![Expectation::Pulled { count: 2 }],
            },
            LessonStep {
                text: "Stale does not mean lost: the delayed message has arrived at 110. \
                    We heal the links and read from 110 once more.",
                guess: None,
                button: "Heal the links, read from 110",
                tasks: vec![(0, tasks::set_link(&into_110, LinkConditions::PERFECT)), (1_500, read_replica("110"))],
                by_ms: 2_500,
                expected: vec![
                    Expectation::StoredOn { topic: TOPIC, offset: 1, replicas: 4 },
                    Expectation::ReplicaReturned { topic: TOPIC, home: HOME, count: 2 },
                    Expectation::AllAlike { group: HOME },
                ],
            },
        ],
    }
}

fn partition() -> Lesson {
    let around: Vec<_> = ["101", "110", "000"]
        .into_iter()
        .flat_map(|other| [(named(HOME), named(other)), (named(other), named(HOME))])
        .collect();
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    Lesson {
        id: "partition",
        title: "Cut off, and healed",
        about: "A leader that is cut off cannot continue alone. The majority elects another leader, \
            and when the links heal there is one history.",
        topic: TOPIC,
        steps: vec![
            begin("Node 100 leads news. Only its three links connect it to the other nodes."),
            LessonStep {
                text: "We cut all three links of 100 in both directions. It keeps running, \
                    and clients can still reach it. Then we publish with quorum.",
                guess: Some(Guess {
                    question: "100 still has the role of leader. Will it acknowledge the publish?",
                    choices: &[
                        "Yes, it is the leader",
                        "No, but the others elect a leader that does",
                        "No, no node can",
                    ],
                    right: 1,
                    because: "Alone it has no majority. 101, 110 and 000 are three of four: \
                        they elected one of themselves, and this page published there when 100 could not acknowledge.",
                }),
                button: "Cut off 100 and publish",
                tasks: vec![(0, tasks::set_link(&around, cut)), (2_500, publish("from the other side", Ack::Quorum))],
                by_ms: 12_000,
                expected: vec![
                    Expectation::LedByAnother { node: HOME, group: HOME },
                    Expectation::StoredAs { topic: TOPIC, offset: 1 },
                    Expectation::StoredOn { topic: TOPIC, offset: 1, replicas: 3 },
                ],
            },
            LessonStep {
                text: "We heal the links.",
                guess: Some(Guess {
                    question: "What does 100 do with a message that it missed?",
                    choices: &["It copies the message", "It keeps its own history"],
                    right: 0,
                    because: "There is one history: that of the majority. 100 adopts it and then leads again.",
                }),
                button: "Heal the links",
                tasks: vec![(0, tasks::set_link(&around, LinkConditions::PERFECT))],
                by_ms: 12_000,
                expected: vec![
                    Expectation::StoredOn { topic: TOPIC, offset: 1, replicas: 4 },
                    Expectation::Leads { node: HOME, group: HOME },
                    Expectation::AllAlike { group: HOME },
                ],
            },
        ],
    }
}

fn minority() -> Lesson {
    Lesson {
        id: "minority",
        title: "Two of four are gone",
        about: "Without a majority, no publish is acknowledged with quorum. \
            A publish with “one” waits on disk and enters the log once.",
        topic: TOPIC,
        steps: vec![
            begin("The topic news has four replicas: three are a majority, two are not."),
            LessonStep {
                text: "We crash 100 and 101, and publish with quorum.",
                guess: Some(Guess {
                    question: "What happens to the publish?",
                    choices: &[
                        "It is stored on the remaining two",
                        "It is refused with an error",
                        "It is lost without an error",
                    ],
                    right: 1,
                    because: "Two of four are not a majority, so they cannot commit the message. \
                        A message that is not committed is not acknowledged with quorum.",
                }),
                button: "Crash both and publish with quorum",
                tasks: vec![
                    (0, tasks::stop_node(named(HOME), StopMode::Crash, 40_000)),
                    (0, backstage(tasks::stop_node(named("101"), StopMode::Crash, 40_000))),
                    (1_000, publish("refused", Ack::Quorum)),
                ],
                by_ms: 12_000,
                expected: vec![
                    Expectation::Is { node: HOME, health: Health::Failed },
                    Expectation::Is { node: "101", health: Health::Failed },
                    Expectation::PublishRefused,
                ],
            },
            LessonStep {
                text: "With “one”, the publisher requires less: \
                    one node keeps the message on disk until there is a leader.",
                guess: None,
                button: "Publish with one",
                tasks: vec![(0, publish("kept safe", Ack::One))],
                by_ms: 12_000,
                expected: vec![Expectation::KeptSafe],
            },
            LessonStep {
                text: "Both nodes come back.",
                guess: Some(Guess {
                    question: "How often will “kept safe” be in the log?",
                    choices: &["Once", "Possibly twice", "Not at all"],
                    right: 0,
                    because: "The message carries a sequence number from its publisher, \
                        so a second copy is recognised and dropped.",
                }),
                button: "Bring both back",
                tasks: vec![(0, tasks::recover_node(named(HOME))), (0, backstage(tasks::recover_node(named("101"))))],
                by_ms: 14_000,
                expected: vec![Expectation::Leads { node: HOME, group: HOME }, Expectation::AllAlike { group: HOME }],
            },
        ],
    }
}

/// The first step of most lessons: a topic with a message that all four replicas store.
fn begin(text: &'static str) -> LessonStep {
    LessonStep {
        text,
        guess: None,
        button: "Create news and publish",
        tasks: vec![(0, create()), (300, publish("first", Ack::All))],
        by_ms: 2_000,
        expected: vec![
            Expectation::Leads { node: HOME, group: HOME },
            Expectation::StoredOn { topic: TOPIC, offset: 0, replicas: 4 },
        ],
    }
}

fn create() -> Task {
    tasks::create_topic(PUBLISHER, TOPIC).expect("these are names")
}

fn publish(content: &str, ack: Ack) -> Task {
    tasks::publish(PUBLISHER, TOPIC, content, ack).expect("these are names")
}

fn read_leader() -> Task {
    tasks::pull("reader", TOPIC, ReadLevel::Leader, false).expect("these are names")
}

/// A read of this replica's messages, from offset 0.
fn read_replica(node: &str) -> Task {
    let subscriber = "reader".parse().expect("this is a name");
    let topic = TOPIC.parse().expect("this is a name");
    let action = Action::Read(Read::ReplicaPull { subscriber, topic, max: 20, from: Some(Offset(0)) });
    let read = TaskStep::new(action, Target::Node(named(node)));
    Task { panel: Panel::Browse, steps: vec![read] }
}

fn backstage(task: Task) -> Task {
    Task { panel: Panel::Backstage, ..task }
}

fn named(text: &str) -> HostId {
    text.parse().expect("lessons name nodes")
}
