//! The reducer: applies actions to the state.

use cubecast_core::cube::Vertex;
use cubecast_core::names::TopicName;
use cubecast_core::wire::answer::{Answer, Done, ErrorCode};
use cubecast_core::wire::client;

use super::action::{Action, Moment};
use super::cluster::Socket;
use super::describe;
use super::feed::{Subject, Tone};
use super::task::{Panel, Report};
use super::{SeedFailure, Selection, State, Tab, breakage, gate};

impl State {
    /// The state after the actions of `moment`, applied in order.
    pub fn after(mut self, moment: Moment) -> State {
        self.now_ms = self.now_ms.max(moment.now_ms);
        if self.traffic.has_expired(self.now_ms) {
            self.traffic.change().expire(self.now_ms);
        }
        let before = self.cluster.clone();
        for action in moment.actions {
            self.look_closer(&action);
            self.apply(action);
        }
        if self.cluster != before {
            self.note_breakages();
            self.note_hindrances();
        }
        self.go_on_looking();
        self
    }

    /// Whether the passing of time alone changes the display: a pulse arrives, or a countdown changes.
    pub(crate) fn changes_by(&self, now_ms: u64) -> bool {
        let is_counting = |at_ms: u64| at_ms + 1_000 > self.now_ms;
        let counting = self.cluster.nodes.values().any(|node| node.returns_at_ms.is_some_and(is_counting));
        let closer = self.closer.changes_by(self.now_ms, now_ms);
        self.traffic.has_expired(now_ms) || closer || (counting && now_ms / 1000 != self.now_ms / 1000)
    }

    fn note_breakages(&mut self) {
        let mut breakages = breakage::Breakages::clone(&self.breakages);
        breakages.update(&self.cluster, self.now_ms);
        if breakages != *self.breakages {
            self.breakages = breakages.into();
        }
    }

    /// Adds a warning, once, to a running request that no node can carry out now.
    fn note_hindrances(&mut self) {
        let running = self.tasks.reports.iter().filter(|(_, report)| report.running);
        let hindered =
            running.filter_map(|(panel, report)| Some((*panel, gate::hindrance(self, report.asked.as_ref()?)?)));
        for (panel, why) in hindered.collect::<Vec<_>>() {
            if let Some(report) = self.tasks.change().reports.get_mut(&panel) {
                report.asked = None;
                report.say(Tone::Warning, format!("{why} The request is retried for up to 10 s."));
            }
        }
    }

    fn apply(&mut self, action: Action) {
        match action {
            Action::SeedFailed { address } => self.seed_failed = Some(SeedFailure { address, why: None }),
            Action::SeedExplained { address, why } => self.explain_seed(&address, why),
            Action::SocketChanged { node, socket } => self.change_socket(node, socket),
            Action::Told(event) => self.learn_event(&event),
            Action::Answered { asked, answer } => {
                self.notice_failing(asked, &answer);
                self.learn_answer(asked, &answer);
            }
            Action::Delivered(delivery) => self.inboxes.change().deliver(delivery),
            Action::Remarked { tone, text } => self.tell(tone, Subject::Page, text),
            Action::FrameMalformed { text } => {
                self.tell(Tone::Warning, Subject::Page, format!("A node sent an invalid frame: {text}"));
            }
            Action::FellOver { from, to, why } => {
                self.tell(Tone::Warning, Subject::Node(from), format!("Requests for {from} now go to {to}: {why}"));
            }
            Action::BackHome { home } => {
                self.tell(Tone::Good, Subject::Node(home), format!("{home} answers requests itself again"))
            }
            Action::DeliveriesEnded { subscriber, topic, why } => {
                self.inboxes.change().end(&subscriber, &topic, why.clone());
                self.tell(
                    Tone::Warning,
                    Subject::Topic(topic.clone()),
                    format!("{subscriber} receives no more messages of {topic}: {why}"),
                );
            }
            Action::TaskStarted { panel, task, goal } => {
                if let Some(client::Action::Write(client::Write::Subscribe { subscriber, topic, push: true, .. })) =
                    &goal
                {
                    self.inboxes.change().ask(subscriber, topic, task);
                }
                self.tasks.change().start(panel, task, goal);
            }
            Action::TaskAsked { panel, task, action } => {
                self.report(panel, task, |report| report.asked = Some(action));
                self.note_hindrances();
            }
            Action::TaskHeld { task, text } => self.tasks.change().hold(task, self.now_ms, &text),
            Action::TaskFellOver { panel, task, text } => {
                self.report(panel, task, |report| report.say(Tone::Warning, text))
            }
            Action::TaskAnswered { panel, task, answer, took_ms } => self.answer_task(panel, task, &answer, took_ms),
            Action::TaskSettled { panel, task, text } => self.report(panel, task, |report| {
                report.say(Tone::Good, text);
                report.running = false;
            }),
            Action::TaskGaveUp { panel, task, text } => self.give_up(panel, task, text),
            Action::TaskEnded { panel, task } => self.end_task(panel, task),
            Action::OpenInbox { subscriber, topic } => self.inboxes.change().open(subscriber, topic),
            Action::CloseInbox { subscriber, topic } => self.inboxes.change().close(&subscriber, &topic),
            Action::Select(selection) => self.select(selection),
            Action::ChooseTab(tab) => self.tab = tab,
            Action::ChooseTopic(text) => self.choose_topic(text),
            Action::ForgetReports(panels) => self.tasks.change().forget(|panel, _| panels.contains(&panel)),
            Action::ShowBackground(show) => self.show_background = show,
            Action::Sampled { .. } | Action::ChooseCloserTab(_) | Action::DismissViolation => {}
            Action::TraceNext | Action::PickRequest(_) => {}
            Action::LoadStarted(_) | Action::LoadTold(_) | Action::LoadStopped { .. } => {}
        }
    }

    /// Discards reports about the previous topic.
    fn choose_topic(&mut self, text: String) {
        if text != self.topic_text {
            self.tasks.change().forget(|panel, _| panel.is_about_topic());
            self.topic_text = text;
        }
    }

    /// Discards reports that the topic does not exist.
    pub(super) fn welcome_topic(&mut self, topic: &TopicName) {
        if self.topic().as_ref() == Some(topic) {
            self.tasks.change().forget(|_, report| report.failed == Some(ErrorCode::UnknownTopic));
        }
    }

    /// Discards finished reports about the deleted topic. A later topic with this name is a new topic.
    pub(super) fn forget_topic(&mut self, topic: &TopicName) {
        if self.topic().as_ref() == Some(topic) {
            self.tasks.change().forget(|panel, report| panel.is_about_topic() && !report.running && !report.deletes());
        }
    }

    /// Selecting opens the tab in which the selection can be broken.
    fn select(&mut self, selection: Option<Selection>) {
        self.selection = selection;
        if selection.is_some() {
            self.tab = Tab::Break;
        }
    }

    pub(super) fn tell(&mut self, tone: Tone, subject: Subject, text: impl Into<String>) {
        self.feed.change().add(self.now_ms, tone, subject, text);
    }

    fn report(&mut self, panel: Panel, task: u64, change: impl FnOnce(&mut Report)) {
        if let Some(report) = self.tasks.change().report(panel, task) {
            change(report);
        }
    }

    fn change_socket(&mut self, node: Vertex, socket: Socket) {
        let known = self.cluster.nodes.get(&node).map(|known| known.socket).unwrap_or_default();
        match (&known, &socket) {
            (Socket::Open, Socket::Closed) => {
                self.tell(Tone::Bad, Subject::Node(node), format!("This page lost its connection to {node}"));
            }
            (Socket::Closed, Socket::Open) => {
                self.tell(Tone::Good, Subject::Node(node), format!("This page is connected to {node} again"));
            }
            _ => {}
        }
        if socket == Socket::Open {
            self.seed_failed = None;
        }
        if known != socket {
            self.cluster.change().learn_socket(node, socket);
        }
    }

    fn explain_seed(&mut self, tried: &str, why: String) {
        if let Some(failure) = self.seed_failed.as_mut().filter(|failure| failure.address == tried) {
            failure.why = Some(why);
        }
    }

    fn answer_task(&mut self, panel: Panel, task: u64, answer: &Answer, took_ms: f64) {
        if matches!(answer.result, Ok(Done::Subscribed { .. })) {
            self.inboxes.change().confirm(task);
        }
        let in_cluster_us = self.closer.recorder.in_cluster_us(answer);
        let (tone, text) = describe::answer(answer, took_ms, in_cluster_us);
        self.report(panel, task, |report| {
            report.done += u64::from(answer.result.is_ok());
            report.failed = answer.result.as_ref().err().map(|failure| failure.code);
            // Of several simultaneous breakages, only failures get a line each.
            if panel != Panel::Break || answer.result.is_err() {
                report.say(tone, text);
            }
            if let (Panel::Pull, Ok(Done::Pulled { messages, .. })) = (panel, &answer.result) {
                report.messages.clone_from(messages);
            }
        });
    }

    fn end_task(&mut self, panel: Panel, task: u64) {
        let now_ms = self.now_ms;
        self.report(panel, task, |report| {
            if panel == Panel::Break && report.lines.is_empty() {
                report.say(Tone::Good, format!("{} made.", describe::plural(report.done, "change")));
            }
            report.running = false;
            report.failed_ms = (!report.succeeded()).then_some(now_ms);
        });
        self.inboxes.change().end_task(task);
    }

    fn give_up(&mut self, panel: Panel, task: u64, text: String) {
        let now_ms = self.now_ms;
        self.report(panel, task, |report| {
            report.say(Tone::Bad, text);
            report.running = false;
            report.failed_ms = Some(now_ms);
        });
        self.inboxes.change().end_task(task);
    }

    /// The selection after a click: selects, or clears the selection if it was selected already.
    pub fn toggled(&self, selection: Selection) -> Option<Selection> {
        if self.selection == Some(selection) { None } else { Some(selection) }
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::names::{Offset, SubscriberId, TopicName};
    use cubecast_core::time::Timestamp;
    use cubecast_core::topics::command::TopicId;
    use cubecast_core::wire::answer::{
        ClusterView, Counters, Failure, LinkView, NodeState, NodeStatus, NodeView, Role,
    };
    use cubecast_core::wire::client::{LinkConditions, StopMode};
    use cubecast_core::wire::event::{Event, FrameKind, WatchEvent};

    use super::super::cluster::{EdgeHealth, Health};
    use super::super::inbox::Inbox;
    use super::super::traffic::{MAX_PULSES, PULSE_MS};
    use super::*;

    #[test]
    fn a_node_that_stops_is_failed_and_counts_down_until_it_is_back() {
        let state = running().told("100", Event::Stopped { mode: StopMode::Crash, duration_ms: 10_000 });
        assert_eq!(state.cluster.health(vertex("100")), Health::Failed);
        assert_eq!(state.cluster.nodes[&vertex("100")].returns_at_ms, Some(11_000));
        let state = state.told("100", Event::Returned { incarnation: 1 });
        assert_eq!(state.cluster.health(vertex("100")), Health::Recovering);
        assert_eq!(state.cluster.nodes[&vertex("100")].returns_at_ms, None);
    }

    #[test]
    fn a_node_that_lost_its_disk_returns_as_another() {
        let back = |incarnation| running().told("100", Event::Returned { incarnation }).feed.entries[0].text.clone();
        assert_eq!(back(1), "100 is back and catching up");
        assert!(back(7).contains("as a new incarnation"), "{}", back(7));
    }

    #[test]
    fn a_wiped_node_shows_nothing_of_what_it_was_and_leads_nothing_until_it_says_so() {
        let (node, term) = (vertex("100"), 3);
        let leads = Event::RoleChanged { group: node, role: Role::Leader, term, leader: Some(node) };
        let state = running().told("100", leads.clone()).with(status("100"));
        assert!(state.cluster.led_by(node) == [node] && state.cluster.nodes[&node].status.is_some());
        let state = state.told("100", Event::Stopped { mode: StopMode::Wipe, duration_ms: 5_000 });
        assert!(state.cluster.led_by(node).is_empty() && state.cluster.nodes[&node].status.is_none());
        let state = state.told("100", Event::Returned { incarnation: 2 });
        assert!(state.cluster.led_by(node).is_empty(), "nobody was told to lead in its place yet");
        let state = state.told("100", Event::NodeState { subject: node, state: NodeState::Up }).told("100", leads);
        assert_eq!(state.cluster.led_by(node), [node]);
    }

    #[test]
    fn a_node_that_answers_that_it_is_failing_is_shown_as_failed() {
        let answer = Answer {
            id: None,
            served_by: vertex("100"),
            hops: None,
            result: Err(ErrorCode::NodeFailed.because("I am failing on request")),
        };
        let state = running().with(Action::Answered { asked: vertex("100"), answer });
        assert_eq!(state.cluster.health(vertex("100")), Health::Failed);
    }

    #[test]
    fn a_lost_socket_is_told_once_and_so_is_its_return() {
        let closed = || Action::SocketChanged { node: vertex("100"), socket: Socket::Closed };
        let state = running().with(closed()).with(closed());
        assert_eq!(state.feed.entries.len(), 1);
        let state = state.with(Action::SocketChanged { node: vertex("100"), socket: Socket::Open });
        assert_eq!(state.feed.entries.len(), 2);
        assert_eq!(state.feed.entries[0].tone, Tone::Good);
    }

    #[test]
    fn the_state_of_a_cluster_that_runs_well_is_no_news() {
        assert!(running().feed.entries.is_empty());
    }

    #[test]
    fn every_frame_of_a_burst_counts_and_as_many_as_can_be_seen_are_drawn() {
        let sent = || event("100", Event::FrameSent { to: vertex("101"), what: FrameKind::Append, group: None });
        let burst: Vec<_> = (0..MAX_PULSES + 50).map(|_| sent()).collect();
        let state = running().after(Moment { now_ms: 2_000, actions: burst });
        assert_eq!(state.traffic.seen, MAX_PULSES as u64 + 50);
        assert_eq!(state.traffic.pulses.len(), MAX_PULSES);
        let later = state.after(Moment { now_ms: 2_000 + PULSE_MS, actions: vec![] });
        assert!(later.traffic.pulses.is_empty());
    }

    #[test]
    fn heartbeats_are_drawn_only_when_asked_for() {
        let beat = Event::FrameSent { to: vertex("101"), what: FrameKind::Heartbeat, group: None };
        assert!(running().told("100", beat.clone()).traffic.pulses.is_empty());
        assert_eq!(running().with(Action::ShowBackground(true)).told("100", beat).traffic.pulses.len(), 1);
    }

    #[test]
    fn a_topic_told_by_four_replicas_is_one_topic_and_one_entry() {
        let topic = TopicName::new("news").unwrap();
        let mut state = running();
        for node in ["100", "101", "110", "000"] {
            state = state.told(node, Event::TopicCreated { topic: topic.clone(), group: vertex("100") });
            state = state
                .told(node, Event::ReplicaStored { topic: topic.clone(), group: vertex("100"), offset: Offset(0) });
        }
        assert_eq!(state.topics.topics[&topic].messages, 1);
        assert_eq!(state.feed.entries.len(), 2);
        assert_eq!(state.feed.entries[0].text, "news #0 stored on 100, 101, 110, 000");
    }

    #[test]
    fn a_result_that_comes_after_a_newer_task_began_is_not_shown_as_its_own() {
        let state = running()
            .with(Action::TaskStarted { panel: Panel::Publish, task: 1, goal: None })
            .with(Action::TaskStarted { panel: Panel::Publish, task: 2, goal: None })
            .with(Action::TaskGaveUp { panel: Panel::Publish, task: 1, text: "nobody answered".into() });
        let report = &state.tasks.reports[&Panel::Publish];
        assert!(report.running && report.lines.is_empty());
    }

    #[test]
    fn what_was_said_of_one_topic_is_not_shown_beside_another() {
        let state = running()
            .with(Action::ChooseTopic("news".into()))
            .with(Action::TaskStarted { panel: Panel::Publish, task: 1, goal: None })
            .with(Action::TaskStarted { panel: Panel::Node, task: 2, goal: None })
            .with(Action::ChooseTopic("cricket".into()));
        assert_eq!(state.tasks.reports.keys().collect::<Vec<_>>(), [&Panel::Node]);
    }

    #[test]
    fn that_there_is_no_such_topic_is_over_when_there_is_one() {
        let refused = answer(Err(ErrorCode::UnknownTopic.because("no topic `news`")));
        let state = running()
            .with(Action::ChooseTopic("news".into()))
            .with(Action::TaskStarted { panel: Panel::Publish, task: 1, goal: None })
            .with(Action::TaskAnswered { panel: Panel::Publish, task: 1, answer: refused, took_ms: 1.0 })
            .with(Action::TaskEnded { panel: Panel::Publish, task: 1 });
        assert_eq!(state.tasks.reports[&Panel::Publish].failed_ms, Some(1_000));
        let topic = TopicName::new("news").unwrap();
        let state = state.told("100", Event::TopicCreated { topic, group: vertex("100") });
        assert!(state.tasks.reports.is_empty());
    }

    #[test]
    fn what_was_done_with_a_topic_goes_with_it_but_for_the_word_that_it_is_deleted() {
        let topic = TopicName::new("news").unwrap();
        let publisher = "p".parse().unwrap();
        let goal = Some(client::Action::Write(client::Write::DeleteTopic { publisher, topic: topic.clone() }));
        let state = running()
            .with(Action::ChooseTopic("news".into()))
            .told("100", Event::TopicCreated { topic: topic.clone(), group: vertex("100") })
            .with(Action::TaskStarted { panel: Panel::Pull, task: 1, goal: None })
            .with(Action::TaskEnded { panel: Panel::Pull, task: 1 })
            .with(Action::TaskStarted { panel: Panel::Topic, task: 2, goal })
            .with(Action::TaskEnded { panel: Panel::Topic, task: 2 })
            .told("100", Event::TopicDeleted { topic, group: vertex("100") });
        assert_eq!(state.tasks.reports.keys().collect::<Vec<_>>(), [&Panel::Topic]);
    }

    #[test]
    fn that_a_node_is_away_for_a_while_is_over_when_it_is_back_and_is_not_said_of_another() {
        let node = vertex("100");
        let goal = Some(client::Action::Admin(client::Admin::StopNode {
            node: Some(node),
            mode: StopMode::Crash,
            duration_ms: 9,
        }));
        let state = running()
            .with(Action::TaskStarted { panel: Panel::Node, task: 1, goal })
            .with(Action::TaskEnded { panel: Panel::Node, task: 1 });
        assert!(state.tasks.of_nodes(Panel::Node, &[node]).is_some());
        assert_eq!(state.tasks.of_nodes(Panel::Node, &[vertex("101")]), None);
        let state = state.told("100", Event::Returned { incarnation: 1 });
        assert_eq!(state.tasks.of_nodes(Panel::Node, &[node]), None);
    }

    #[test]
    fn a_subscription_that_was_refused_is_not_one_and_one_that_stands_survives_a_later_refusal() {
        let (subscriber, topic): (SubscriberId, TopicName) = ("reader".parse().unwrap(), "news".parse().unwrap());
        let goal = Some(client::Action::Write(client::Write::Subscribe {
            subscriber: subscriber.clone(),
            topic: topic.clone(),
            from: None,
            push: true,
        }));
        let asked = |state: State, task| {
            let (subscriber, topic) = (subscriber.clone(), topic.clone());
            let goal = goal.clone();
            state.with(Action::OpenInbox { subscriber, topic }).with(Action::TaskStarted {
                panel: Panel::Subscribe,
                task,
                goal,
            })
        };
        let ended = |state: State, task, result| {
            let answer = answer(result);
            let answered = Action::TaskAnswered { panel: Panel::Subscribe, task, answer, took_ms: 1.0 };
            state.with(answered).with(Action::TaskEnded { panel: Panel::Subscribe, task })
        };
        let refused = || Err(ErrorCode::UnknownTopic.because("no topic `news`"));
        let cursor = Offset(0);
        let topic_id = TopicId(1);
        let subscribed = Done::Subscribed { topic: topic.clone(), topic_id, cursor, original_node: None };
        let is_live = |state: &State| state.inboxes.get(&subscriber, &topic).is_some_and(Inbox::is_live);

        let state = ended(asked(running(), 1), 1, refused());
        assert!(!is_live(&state) && state.inboxes.boxes.is_empty());
        let state = ended(asked(state, 2), 2, Ok(subscribed));
        assert!(is_live(&state));
        assert!(is_live(&ended(asked(state, 3), 3, refused())));
    }

    #[test]
    fn a_cut_is_told_once_though_both_ends_tell() {
        let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
        let (from, to) = (vertex("100"), vertex("101"));
        let state = running()
            .told("100", Event::LinkConditions { from, to, conditions: cut })
            .told("101", Event::LinkState { from, to, up: false })
            .told("000", Event::LinkState { from, to, up: false });
        assert_eq!(state.cluster.edge_health(from, to), EdgeHealth::OneWay { from: to, to: from });
        assert_eq!(state.feed.entries.len(), 1);
    }

    #[test]
    fn a_link_that_goes_silent_with_its_node_is_no_news_of_its_own() {
        let (from, to) = (vertex("100"), vertex("101"));
        let silent = |up| Event::LinkState { from, to, up };
        let state = running().told("100", Event::Stopped { mode: StopMode::Crash, duration_ms: 1 });
        let state =
            state.told("101", silent(false)).told("100", Event::Returned { incarnation: 1 }).told("101", silent(true));
        assert_eq!(state.feed.entries.len(), 2);
        let state = running().told("101", silent(false)).told("101", silent(true));
        assert_eq!(state.feed.entries.len(), 2, "between nodes that are well it is");
    }

    #[test]
    fn an_election_is_told_by_its_winner_only() {
        let lead = |role| Event::RoleChanged { group: vertex("100"), role, term: 7, leader: Some(vertex("101")) };
        let state = running().told("101", lead(Role::Leader)).told("110", lead(Role::Follower));
        assert_eq!(state.cluster.leader_of(vertex("100")), Some(vertex("101")));
        assert_eq!(state.feed.entries.len(), 1);
    }

    fn vertex(text: &str) -> Vertex {
        text.parse().unwrap()
    }

    fn answer(result: Result<Done, Failure>) -> Answer {
        Answer { id: None, served_by: vertex("100"), hops: None, result }
    }

    fn status(name: &str) -> Action {
        let node = vertex(name);
        let status = NodeStatus {
            node,
            incarnation: 1,
            state: NodeState::Up,
            version: "1".into(),
            sync: "always".into(),
            uptime_ms: 0,
            faults_allowed: true,
            storage: Default::default(),
            groups: Vec::new(),
            links: Vec::new(),
            counters: Counters::default(),
        };
        let done = Ok(Done::Status(status.into()));
        Action::Answered { asked: node, answer: Answer { id: None, served_by: node, hops: None, result: done } }
    }

    fn event(node: &str, event: Event) -> Action {
        let node = vertex(node);
        Action::Told(WatchEvent { node, time: Timestamp(0), at_us: 0, trace: None, event })
    }

    impl State {
        fn with(self, action: Action) -> State {
            self.after(Moment { now_ms: 1_000, actions: vec![action] })
        }

        fn told(self, node: &str, told: Event) -> State {
            self.with(event(node, told))
        }
    }

    /// Eight healthy nodes, each reported by itself.
    fn running() -> State {
        let dimension = Dimension::new(3).unwrap();
        let up = |node: Vertex| NodeView {
            node,
            address: format!("127.0.0.1:{}", 8000 + node.index()),
            state: NodeState::Up,
            incarnation: 1,
            leads: vec![node],
        };
        let links =
            dimension.vertices().flat_map(|from| from.neighbours().map(move |to| LinkView { from, to, up: true }));
        let view = ClusterView { dimension, nodes: dimension.vertices().map(up).collect(), links: links.collect() };
        let opened = dimension.vertices().flat_map(|node| {
            let answer = Answer { id: None, served_by: node, hops: None, result: Ok(Done::Cluster(view.clone())) };
            [Action::SocketChanged { node, socket: Socket::Open }, Action::Answered { asked: node, answer }]
        });
        State::default().after(Moment { now_ms: 1_000, actions: opened.collect() })
    }
}
