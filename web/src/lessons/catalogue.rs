//! The lessons. Their topic is `news`: its hash ends in 100, so node 100 is its home, and 101, 110 and 000 are its
//! replicas.

use cubecast_core::client::Target;
use cubecast_core::names::Offset;
use cubecast_core::wire::client::{Ack, Action, LinkConditions, ReadLevel, StopMode};

use super::{Expectation, Guess, Lesson, Step};
use crate::model::State;
use crate::model::cluster::Health;
use crate::model::feed::Tone;
use crate::model::task::{Panel, Step as Request, Task};
use crate::model::wish;

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
        None => return Some("The lessons wait for the cluster.".into()),
        Some(3) => {}
        Some(_) => {
            return Some(
                "The lessons are about eight nodes. This cluster has another size: take them in Simulated.".into(),
            );
        }
    }
    if cluster.dimension?.vertices().any(|node| cluster.health(node) != Health::Up) {
        return Some("The lessons begin when all eight nodes are up.".into());
    }
    has_topic(state).then(|| {
        format!("The lessons create the topic {TOPIC} themselves: delete yours first, or take them in Simulated.")
    })
}

/// The task that removes what a lesson left in a live cluster; `None` if nothing is left.
pub fn left_over(state: &State) -> Option<Task> {
    has_topic(state).then(|| wish::delete_topic(PUBLISHER, TOPIC).expect("these are names"))
}

fn has_topic(state: &State) -> bool {
    state.topics.topics.keys().any(|topic| topic.as_str() == TOPIC)
}

fn placement() -> Lesson {
    Lesson {
        id: "placement",
        title: "Where does a topic live?",
        about: "A topic's name alone says which nodes keep it. Nobody has to be asked.",
        topic: TOPIC,
        steps: vec![
            Step {
                text: "Every node stands on a corner of a cube and is named by its bits. The SHA-256 of “news” ends in the bits 100.",
                guess: Some(Guess {
                    question: "Which node will be the home of news?",
                    choices: &["The one that is asked first", "100", "Any that has room"],
                    right: 1,
                    because: "The last three bits of the hash are the home's name. Every node and every client computes the same.",
                }),
                button: "Create news",
                tasks: vec![(0, create())],
                by_ms: 1_500,
                expected: vec![
                    Expectation::TopicAt { topic: TOPIC, home: HOME },
                    Expectation::Leads { node: HOME, group: HOME },
                ],
            },
            Step {
                text: "The home is not alone: its neighbours along each of the three edges keep a replica.",
                guess: Some(Guess {
                    question: "How many of the eight nodes will store a message to news?",
                    choices: &["1", "4", "8"],
                    right: 1,
                    because: "The home and its three neighbours: 100, 101, 110 and 000. On a cube of dimension d it is d + 1.",
                }),
                button: "Publish a message",
                tasks: vec![(0, publish("hello", Ack::Quorum))],
                by_ms: 1_500,
                expected: vec![
                    Expectation::StoredOn { topic: TOPIC, offset: 0, holders: 4 },
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
        about: "A publish waits for one node, for a majority, or for all that are up: its sender decides.",
        topic: TOPIC,
        steps: vec![
            Step {
                text: "With “quorum”, a publish is acknowledged when a majority of the four holders has it on disk.",
                guess: None,
                button: "Create news and publish with quorum",
                tasks: vec![(0, create()), (300, publish("first", Ack::Quorum))],
                by_ms: 2_000,
                expected: vec![
                    said(Panel::Publish, "Stored as news #0"),
                    Expectation::StoredOn { topic: TOPIC, offset: 0, holders: 4 },
                ],
            },
            Step {
                text: "Now replica 110 falls silent for four seconds: it neither hears nor answers. We publish with quorum again.",
                guess: Some(Guess {
                    question: "Does the publish have to wait for 110?",
                    choices: &["Yes, until it is back", "No: three of four are a majority"],
                    right: 1,
                    because: "100, 101 and 000 are enough. 110 will be told when it is back.",
                }),
                button: "Silence 110 and publish",
                tasks: vec![
                    (0, wish::stop_node(vertex("110"), StopMode::Pause, 4_000)),
                    (300, publish("second", Ack::Quorum)),
                ],
                by_ms: 1_500,
                expected: vec![
                    said(Panel::Publish, "Stored as news #1"),
                    Expectation::StoredOn { topic: TOPIC, offset: 1, holders: 3 },
                ],
            },
            Step {
                text: "A replica that was away is sent what it missed.",
                guess: None,
                button: "Wait for 110",
                tasks: Vec::new(),
                by_ms: 6_000,
                expected: vec![
                    Expectation::Is { node: "110", health: Health::Up },
                    Expectation::StoredOn { topic: TOPIC, offset: 1, holders: 4 },
                ],
            },
        ],
    }
}

fn failover() -> Lesson {
    Lesson {
        id: "failover",
        title: "The leader dies",
        about: "A neighbour takes over within a second, nothing acknowledged is lost, and the home leads again when it is back.",
        topic: TOPIC,
        steps: vec![
            begin("One node orders all messages of a topic: the leader, which is the home while it can."),
            Step {
                text: "We crash the leader for six seconds, and publish meanwhile.",
                guess: Some(Guess {
                    question: "Who can lead news while 100 is down?",
                    choices: &["Any of the other seven", "Only 101, 110 or 000", "Nobody: news must wait"],
                    right: 1,
                    because: "Only who has the log can lead it. Its neighbours noticed the broken connections at once and elected one of them.",
                }),
                button: "Crash 100 and publish",
                tasks: vec![
                    (0, wish::stop_node(vertex(HOME), StopMode::Crash, 6_000)),
                    (500, publish("second", Ack::Quorum)),
                ],
                by_ms: 3_000,
                expected: vec![
                    Expectation::Is { node: HOME, health: Health::Failed },
                    Expectation::LedByAnother { node: HOME, group: HOME },
                    said(Panel::Publish, "Stored as news #1"),
                ],
            },
            Step {
                text: "When 100 is back it first fetches what it missed.",
                guess: Some(Guess {
                    question: "Who leads then?",
                    choices: &["The one who took over", "100 again, once it has everything"],
                    right: 1,
                    because: "Leadership goes home, so that work stays spread evenly over the cube, but never to a node that lacks something.",
                }),
                button: "Wait for 100",
                tasks: Vec::new(),
                by_ms: 12_000,
                expected: vec![
                    Expectation::Is { node: HOME, health: Health::Up },
                    Expectation::Leads { node: HOME, group: HOME },
                    Expectation::StoredOn { topic: TOPIC, offset: 1, holders: 4 },
                ],
            },
        ],
    }
}

fn wipe() -> Lesson {
    Lesson {
        id: "recovery",
        title: "A disk is lost",
        about: "A node that comes back empty is filled by its neighbours, as somebody new who has promised nothing.",
        topic: TOPIC,
        steps: vec![
            begin("Four nodes keep each message, so that one of their disks may be lost."),
            Step {
                text: "We crash the home and throw its disk away.",
                guess: Some(Guess {
                    question: "May it come back and vote as if nothing had happened?",
                    choices: &["Yes, it is the same machine", "No: it has forgotten what it voted and acknowledged"],
                    right: 1,
                    because: "It could help to undo what it acknowledged. So it returns as a new incarnation, without a vote, and gets one when it has caught up.",
                }),
                button: "Wipe 100",
                tasks: vec![(0, wish::stop_node(vertex(HOME), StopMode::Wipe, 2_000))],
                by_ms: 3_000,
                expected: vec![
                    Expectation::Is { node: HOME, health: Health::Failed },
                    Expectation::LedByAnother { node: HOME, group: HOME },
                    Expectation::IsSomebodyNew { node: HOME },
                ],
            },
            Step {
                text: "Now it is filled from its neighbours.",
                guess: None,
                button: "Wait, then publish with all",
                tasks: vec![(6_000, publish("again on four", Ack::All))],
                by_ms: 12_000,
                expected: vec![
                    Expectation::Leads { node: HOME, group: HOME },
                    Expectation::StoredOn { topic: TOPIC, offset: 1, holders: 4 },
                    Expectation::AllAlike { group: HOME },
                ],
            },
        ],
    }
}

fn consistency() -> Lesson {
    let slow = LinkConditions { delay_ms: 600, ..LinkConditions::PERFECT };
    let into_110 = [("100", "110"), ("010", "110"), ("111", "110")].map(|(from, to)| (vertex(from), vertex(to)));
    Lesson {
        id: "consistency",
        title: "A stale read",
        about: "A replica answers at once, and may lack the newest. Whoever must not miss anything asks for the leader's word.",
        topic: TOPIC,
        steps: vec![
            Step {
                tasks: vec![(0, create()), (300, publish("first", Ack::All)), (800, read_leader())],
                expected: vec![
                    Expectation::StoredOn { topic: TOPIC, offset: 0, holders: 4 },
                    Expectation::Pulled { count: 1 },
                ],
                button: "Create news, publish, read",
                ..begin("Every holder can answer a read. All of them have message #0, and a reader reads it.")
            },
            Step {
                text: "All links into replica 110 become slow: what is sent to it takes 600 ms. We publish, and 150 ms later read at 110.",
                guess: Some(Guess {
                    question: "The publish was acknowledged. What does replica 110 answer?",
                    choices: &["Both messages", "Only the first", "Nothing: it refuses"],
                    right: 1,
                    because: "A majority without 110 acknowledged. Its answer is true and old: a stale read, seen with your own eyes.",
                }),
                button: "Slow 110 down, publish, read there",
                tasks: vec![
                    (0, wish::set_link(&into_110, slow)),
                    (1_500, publish("the newest", Ack::Quorum)),
                    (1_650, read_replica("110")),
                ],
                by_ms: 1_700,
                expected: vec![
                    said(Panel::Publish, "Stored as news #1"),
                    said(Panel::Pull, "1 message of news (home 100)"),
                ],
            },
            Step {
                text: "Now the same question with read level “leader”.",
                guess: Some(Guess {
                    question: "And now?",
                    choices: &["Both messages", "Only the first"],
                    right: 0,
                    because: "The leader first makes sure that it still leads, and then answers from its own log: everything acknowledged before is in it.",
                }),
                button: "Read with leader",
                tasks: vec![(0, read_leader())],
                by_ms: 2_000,
                expected: vec![Expectation::Pulled { count: 2 }],
            },
            Step {
                text: "Stale is not lost: what was on its way to 110 has arrived. The links are mended, and we ask 110 once more.",
                guess: None,
                button: "Mend the links, read at 110",
                tasks: vec![(0, wish::set_link(&into_110, LinkConditions::PERFECT)), (1_500, read_replica("110"))],
                by_ms: 2_500,
                expected: vec![
                    Expectation::StoredOn { topic: TOPIC, offset: 1, holders: 4 },
                    said(Panel::Pull, "2 messages of news (home 100)"),
                    Expectation::AllAlike { group: HOME },
                ],
            },
        ],
    }
}

fn partition() -> Lesson {
    let around: Vec<_> = ["101", "110", "000"]
        .into_iter()
        .flat_map(|other| [(vertex(HOME), vertex(other)), (vertex(other), vertex(HOME))])
        .collect();
    let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
    Lesson {
        id: "partition",
        title: "Cut off, and healed",
        about: "A leader that is cut off may not go on alone. The majority does, and when the links heal there is one history.",
        topic: TOPIC,
        steps: vec![
            begin("Node 100 leads news. Its three links are all that joins it to the others."),
            Step {
                text: "We cut all three links of 100, both ways. It runs on, and you can still talk to it. Then we publish with quorum.",
                guess: Some(Guess {
                    question: "100 believes that it leads. Will it acknowledge?",
                    choices: &["Yes, it is the leader", "No, but the others elect a leader who does", "No, nobody can"],
                    right: 1,
                    because: "Alone it has no majority. 101, 110 and 000 are three of four: they elect one of them, and your page asked there when 100 could not.",
                }),
                button: "Cut off 100 and publish",
                tasks: vec![(0, wish::set_link(&around, cut)), (2_500, publish("from the other side", Ack::Quorum))],
                by_ms: 12_000,
                expected: vec![
                    Expectation::LedByAnother { node: HOME, group: HOME },
                    said(Panel::Publish, "Stored as news #1"),
                    Expectation::StoredOn { topic: TOPIC, offset: 1, holders: 3 },
                ],
            },
            Step {
                text: "We mend the links.",
                guess: Some(Guess {
                    question: "What does 100 do with a message that it missed?",
                    choices: &["It takes it over", "It keeps its own history"],
                    right: 0,
                    because: "There is one history: that of the majority. 100 takes it over, and then leads again.",
                }),
                button: "Mend the links",
                tasks: vec![(0, wish::set_link(&around, LinkConditions::PERFECT))],
                by_ms: 12_000,
                expected: vec![
                    Expectation::StoredOn { topic: TOPIC, offset: 1, holders: 4 },
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
        about: "Without a majority nothing is acknowledged with quorum. A publish with “one” waits, safe on disk, and enters the log once.",
        topic: TOPIC,
        steps: vec![
            begin("Three of four holders are a majority of news; two are not."),
            Step {
                text: "We crash 100 and 101, and publish with quorum.",
                guess: Some(Guess {
                    question: "What happens to the publish?",
                    choices: &[
                        "It is stored on the two that are left",
                        "It is refused, and says so",
                        "It is lost silently",
                    ],
                    right: 1,
                    because: "Two of four could be outvoted by the other two. What cannot be promised is not acknowledged.",
                }),
                button: "Crash both and publish with quorum",
                tasks: vec![
                    (0, wish::stop_node(vertex(HOME), StopMode::Crash, 40_000)),
                    (0, backstage(wish::stop_node(vertex("101"), StopMode::Crash, 40_000))),
                    (1_000, publish("refused", Ack::Quorum)),
                ],
                by_ms: 12_000,
                expected: vec![
                    Expectation::Is { node: HOME, health: Health::Failed },
                    Expectation::Is { node: "101", health: Health::Failed },
                    Expectation::Said { panel: Panel::Publish, tone: Tone::Bad, words: "" },
                ],
            },
            Step {
                text: "With “one” the sender asks for less: that one node keeps it safe until there is a leader.",
                guess: None,
                button: "Publish with one",
                tasks: vec![(0, publish("kept safe", Ack::One))],
                by_ms: 12_000,
                expected: vec![said(Panel::Publish, "Kept safe on")],
            },
            Step {
                text: "The two come back.",
                guess: Some(Guess {
                    question: "How often will “kept safe” be in the log?",
                    choices: &["Once", "Perhaps twice", "Not at all"],
                    right: 0,
                    because: "It bears a number of its sender's: a second copy would be recognised.",
                }),
                button: "Bring both back",
                tasks: vec![(0, wish::recover_node(vertex(HOME))), (0, backstage(wish::recover_node(vertex("101"))))],
                by_ms: 14_000,
                expected: vec![Expectation::Leads { node: HOME, group: HOME }, Expectation::AllAlike { group: HOME }],
            },
        ],
    }
}

/// The first step of most lessons: a topic with a message that all four holders store.
fn begin(text: &'static str) -> Step {
    Step {
        text,
        guess: None,
        button: "Create news and publish",
        tasks: vec![(0, create()), (300, publish("first", Ack::All))],
        by_ms: 2_000,
        expected: vec![
            Expectation::Leads { node: HOME, group: HOME },
            Expectation::StoredOn { topic: TOPIC, offset: 0, holders: 4 },
        ],
    }
}

fn create() -> Task {
    wish::create_topic(PUBLISHER, TOPIC).expect("these are names")
}

fn publish(content: &str, ack: Ack) -> Task {
    wish::publish(PUBLISHER, TOPIC, content, ack).expect("these are names")
}

fn read_leader() -> Task {
    wish::pull("reader", TOPIC, ReadLevel::Leader, false).expect("these are names")
}

/// A read of this replica's messages, from offset 0.
fn read_replica(node: &str) -> Task {
    let subscriber = "reader".parse().expect("this is a name");
    let topic = TOPIC.parse().expect("this is a name");
    let action = Action::ReplicaPull { subscriber, topic, max: 20, from: Some(Offset(0)) };
    let read = Request::new(action, Target::Node(vertex(node)));
    Task { panel: Panel::Pull, steps: vec![read] }
}

fn backstage(task: Task) -> Task {
    Task { panel: Panel::Backstage, ..task }
}

fn said(panel: Panel, words: &'static str) -> Expectation {
    Expectation::Said { panel, tone: Tone::Good, words }
}

fn vertex(text: &str) -> cubecast_core::cube::Vertex {
    text.parse().expect("lessons name vertices")
}
