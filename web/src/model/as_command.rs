//! The user's actions as other programs send them: on the command line, and as JSON.

use cubecast_core::faults::{LinkConditions, StopMode};
use cubecast_core::names::{StartAt, SubscriberId, TopicName};
use cubecast_core::wire::client::{Ack, Action, Admin, Read, ReadLevel, Write};

/// Contents with more bytes are left out of commands.
const MAX_CONTENT: usize = 200;

/// The command that does the same; `None` if there is none.
pub fn command_line(action: &Action) -> Option<String> {
    let words = match action {
        Action::Write(write) => write_words(write)?,
        Action::Read(Read::Pull { subscriber, topic, max, read, commit }) => {
            let mut words = vec!["pull".into(), quoted(topic.as_str()), "--as".into(), quoted(subscriber.as_str())];
            words.extend(["--max".into(), max.to_string()]);
            words.extend((*read == ReadLevel::Any).then(|| "--read any".into()));
            words.extend((!commit).then(|| "--no-commit".into()));
            words
        }
        Action::Admin(Admin::StopNode { node: Some(node), mode, duration_ms }) => {
            let mode = match mode {
                StopMode::Crash => "crash",
                StopMode::Wipe => "wipe",
                StopMode::Pause => "pause",
            };
            vec!["fail".into(), node.to_string(), format!("--mode {mode} --for {duration_ms}ms")]
        }
        Action::Admin(Admin::RecoverNode { node: Some(node) }) => vec!["recover".into(), node.to_string()],
        Action::Admin(Admin::SetLink { from, to, conditions }) => {
            vec!["link".into(), from.to_string(), to.to_string(), link_words(conditions)]
        }
        Action::Read(Read::ReplicaPull { .. }) | Action::Query(_) | Action::Admin(_) | Action::Local(_) => return None,
    };
    Some(format!("cubecast {}", words.join(" ")))
}

fn write_words(write: &Write) -> Option<Vec<String>> {
    let named = |verb: &str, topic: &str, name: &str| vec![verb.into(), quoted(topic), "--as".into(), quoted(name)];
    Some(match write {
        Write::Publish { publisher, topic, content, ack, .. } => {
            if content.as_str().len() > MAX_CONTENT {
                return None;
            }
            let mut words = vec!["pub".into(), quoted(topic.as_str()), quoted(content.as_str())];
            words.extend(["--as".into(), quoted(publisher.as_str())]);
            words.extend((*ack != Ack::default()).then(|| format!("--ack {}", ack_word(*ack))));
            words
        }
        Write::CreateTopic { publisher, topic } => named("topic create", topic.as_str(), publisher.as_str()),
        Write::DeleteTopic { publisher, topic } => named("topic delete", topic.as_str(), publisher.as_str()),
        Write::Subscribe { subscriber, topic, from, push: true } => {
            let mut words = named("sub", topic.as_str(), subscriber.as_str());
            words.extend(from.map(|from| format!("--from {}", start_word(from))));
            words
        }
        _ => return None,
    })
}

fn link_words(conditions: &LinkConditions) -> String {
    let LinkConditions { cut, delay_ms, jitter_ms, loss } = conditions;
    match conditions {
        _ if *cut => "--cut".into(),
        _ if *conditions == LinkConditions::PERFECT => "--up".into(),
        _ => format!("--delay {delay_ms} --jitter {jitter_ms} --loss {loss}"),
    }
}

/// The request as JSON, for a WebSocket; `None` for requests that only pages send.
pub fn json(action: &Action) -> Option<String> {
    let text = |text: &str| serde_json::to_string(text).unwrap_or_default();
    let subscription = |subscriber: &SubscriberId, topic: &TopicName| {
        format!(r#""subscriber_id":{},"topic":{}"#, text(subscriber.as_str()), text(topic.as_str()))
    };
    let fields = match action {
        Action::Write(Write::Publish { publisher, topic, content, ack, .. }) => {
            if content.as_str().len() > MAX_CONTENT {
                return None;
            }
            let (publisher, topic, content) = (text(publisher.as_str()), text(topic.as_str()), text(content.as_str()));
            let ack = ack_word(*ack);
            format!(r#""publisher_id":{publisher},"topic":{topic},"content":{content},"ack":"{ack}""#)
        }
        Action::Write(Write::CreateTopic { publisher, topic } | Write::DeleteTopic { publisher, topic }) => {
            format!(r#""publisher_id":{},"topic":{}"#, text(publisher.as_str()), text(topic.as_str()))
        }
        Action::Write(Write::Subscribe { subscriber, topic, from, push }) => {
            let from = from.map(|from| match from {
                StartAt::Offset(offset) => format!(r#","from":{offset}"#),
                other => format!(r#","from":"{}""#, start_word(other)),
            });
            format!(r#"{},"push":{push}{}"#, subscription(subscriber, topic), from.unwrap_or_default())
        }
        Action::Read(Read::Pull { subscriber, topic, max, read, commit }) => {
            let read = if *read == ReadLevel::Any { "any" } else { "leader" };
            let subscription = subscription(subscriber, topic);
            format!(r#"{subscription},"max":{max},"read":"{read}","commit":{commit}"#)
        }
        _ => return None,
    };
    Some(format!(r#"{{"action":"{}",{fields}}}"#, action.name()))
}

fn ack_word(ack: Ack) -> &'static str {
    match ack {
        Ack::One => "one",
        Ack::Quorum => "quorum",
        Ack::All => "all",
    }
}

fn start_word(from: StartAt) -> String {
    match from {
        StartAt::Beginning => "beginning".into(),
        StartAt::Latest => "latest".into(),
        StartAt::Offset(offset) => offset.to_string(),
    }
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,=".contains(c);
    match word {
        "" => "''".into(),
        word if word.chars().all(is_plain) && !word.starts_with('-') => word.into(),
        word => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::cube::Dimension;
    use cubecast_core::seating::Seating;
    use cubecast_core::wire::json::parse_request;
    use cubecast_core::wire::limits::Limits;

    use super::*;
    use crate::model::tasks;
    use crate::testing::named;

    fn goal(task: Result<crate::model::task::Task, tasks::Refusal>) -> Action {
        task.unwrap().goal().unwrap().clone()
    }

    #[test]
    fn an_action_as_json_is_the_same_request() {
        let seating = Seating::founding(Dimension::new(3).unwrap());
        for action in [
            goal(tasks::create_topic("p", "it's")),
            goal(tasks::publish("p", "news", "a \"b\" \\ é\n", Ack::All)),
            goal(tasks::subscribe("s", "news", Some(StartAt::Beginning))),
            goal(tasks::subscribe("s", "news", None)),
            goal(tasks::pull("s", "news", ReadLevel::Any, false)),
        ] {
            let json = json(&action).unwrap();
            let parsed =
                parse_request(&json, &Limits::default(), &seating).unwrap_or_else(|why| panic!("{json}: {why:?}"));
            assert_eq!(parsed.action, action, "{json}");
        }
    }

    #[test]
    fn an_action_on_the_command_line_is_quoted_where_a_shell_needs_it() {
        let line = |action: &Action| command_line(action).unwrap();
        assert_eq!(
            line(&goal(tasks::publish("p", "news", "it's $5", Ack::Quorum))),
            r"cubecast pub news 'it'\''s $5' --as p"
        );
        assert_eq!(line(&goal(tasks::publish("p", "a&b", "x", Ack::One))), "cubecast pub 'a&b' x --as p --ack one");
        let stop = tasks::stop_node(named("100"), StopMode::Wipe, 2_000);
        assert_eq!(line(stop.goal().unwrap()), "cubecast fail 100 --mode wipe --for 2000ms");
        let cut = LinkConditions { cut: true, ..LinkConditions::PERFECT };
        let link = tasks::set_link(&[(named("000"), named("001"))], cut);
        assert_eq!(line(link.goal().unwrap()), "cubecast link 000 001 --cut");
        assert_eq!(quoted("-x"), "'-x'");
    }
}
