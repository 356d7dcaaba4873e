//! A run and an instant as a fragment of the page's address, so that a link reproduces what its creator saw.
//!
//! Browsers do not send the fragment (the part after `#`) to the server, so any static file server is sufficient.
//! Example: `#simulated&v=1&d=3&seed=7&t=4500&topic=news&do=…`. Invalid parts are rejected with a reason, never
//! guessed.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use cubecast_core::cube::Dimension;
use cubecast_core::seating::Seating;
use cubecast_sim::{Reduction, Scenario};

use super::catalogue;
use super::spec::{Course, LONGEST_MS, MAX_USER_ACTIONS, Spec, UserAction};
use crate::format::{escape, unescape};
use crate::model::Selection;

/// The version of this address format.
const FORM: &str = "1";
/// Longer addresses are rejected, because browsers and chat programs truncate them.
pub const MAX_ADDRESS: usize = 32_000;
/// The first word of an address that requests a simulation.
pub const WORD: &str = "simulated";

/// The content of a link.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Permalink {
    /// The run.
    pub spec: Spec,
    /// The instant to show, milliseconds; `None` for the start of the run.
    pub at_ms: Option<u64>,
    /// The chosen topic.
    pub topic: String,
    /// The selected node or edge.
    pub selection: Option<Selection>,
    /// The open lesson.
    pub lesson: Option<String>,
    /// Whether the run started as a copy of a live cluster.
    pub from_live: bool,
    /// The version that created the link, if it differs from this page's version: the run may then differ.
    pub made_by: Option<String>,
}

/// Why an address was rejected.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadAddress {
    #[error("it is {0} characters long; the limit is {MAX_ADDRESS}")]
    TooLong(usize),
    #[error("it has format {0}; this page reads format {FORM}")]
    Form(String),
    #[error("`{field}` must be a number and is `{text}`")]
    NotANumber { field: &'static str, text: String },
    #[error("a cube of dimension {0} cannot be simulated; choose from 1 to 6")]
    Dimension(u64),
    #[error("there is no scenario `{0}`; choose from quiet, {names}", names = catalogue::NAMES.join(", "))]
    UnknownScenario(String),
    #[error("its scenario cannot be run: {0}")]
    Scenario(String),
    #[error("`{0}` is not a node or link of the cube")]
    Selection(String),
    #[error("its actions cannot be decoded: {0}")]
    Deeds(&'static str),
}

impl Permalink {
    /// `None` if the address does not request a simulation.
    pub fn read(fragment: &str) -> Option<Result<Permalink, BadAddress>> {
        let mut parts = fragment.trim_start_matches('#').split('&');
        (parts.next() == Some(WORD)).then(|| Fields::read(fragment).and_then(|fields| fields.permalink()))
    }

    /// The address if it can be read by [`Permalink::read`]; an error if it is too long.
    pub fn write_short(&self) -> Result<String, BadAddress> {
        let fragment = self.write();
        if fragment.len() > MAX_ADDRESS { Err(BadAddress::TooLong(fragment.len())) } else { Ok(fragment) }
    }

    /// The fragment with its `#`, of any length.
    pub fn write(&self) -> String {
        let mut text = format!("#{WORD}&v={FORM}");
        let mut say = |field: &str, value: &str| text.push_str(&format!("&{field}={value}"));
        match &self.spec.course {
            Course::Quiet { dimension } => say("d", &dimension.bits().to_string()),
            // A link cannot contain a file.
            Course::Recorded(_) => say("incident", "1"),
            Course::Scenario { scenario, reduction } => match in_catalogue(scenario, reduction) {
                Some(None) => say("scenario", &scenario.name),
                Some(Some(bits)) => {
                    say("scenario", &scenario.name);
                    say("d", &bits.to_string());
                }
                None => say("custom", &BASE64.encode(serde_json::to_vec(&(scenario, reduction)).unwrap_or_default())),
            },
        }
        say("seed", &self.spec.seed.to_string());
        if let Some(at_ms) = self.at_ms {
            say("t", &at_ms.to_string());
        }
        if !self.topic.is_empty() {
            say("topic", &escape(&self.topic));
        }
        match self.selection {
            Some(Selection::Node(node)) => say("select", &node.to_string()),
            Some(Selection::Edge(a, b)) => say("select", &format!("{a}-{b}")),
            None => {}
        }
        if let Some(lesson) = &self.lesson {
            say("lesson", &escape(lesson));
        }
        if self.from_live {
            say("live", "1");
        }
        if !self.spec.user_actions.is_empty() {
            say("do", &BASE64.encode(postcard::to_allocvec(&self.spec.user_actions).unwrap_or_default()));
        }
        say("by", env!("CARGO_PKG_VERSION"));
        text
    }
}

/// `Some` if the scenario can be written as its name; inside, the dimension if it was restricted to one.
fn in_catalogue(scenario: &Scenario, reduction: &Reduction) -> Option<Option<u8>> {
    let known = catalogue::scenario(&scenario.name).filter(|_| *reduction == Reduction::default())?;
    if *scenario == known {
        return Some(None);
    }
    let [bits] = scenario.dimensions[..] else { return None };
    (*scenario == Scenario { dimensions: vec![bits], ..known }).then_some(Some(bits))
}

/// The fields of an address. If a name occurs twice, the last one counts.
struct Fields<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Fields<'a> {
    fn read(fragment: &'a str) -> Result<Fields<'a>, BadAddress> {
        if fragment.len() > MAX_ADDRESS {
            return Err(BadAddress::TooLong(fragment.len()));
        }
        Ok(Fields(fragment.split('&').filter_map(|part| part.split_once('=')).collect()))
    }

    fn get(&self, field: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(name, _)| *name == field).map(|(_, value)| *value)
    }

    fn number(&self, field: &'static str) -> Result<Option<u64>, BadAddress> {
        let number = |text: &str| text.parse().map_err(|_| BadAddress::NotANumber { field, text: shortened(text) });
        self.get(field).map(number).transpose()
    }

    fn permalink(&self) -> Result<Permalink, BadAddress> {
        if let Some(form) = self.get("v").filter(|form| *form != FORM) {
            return Err(BadAddress::Form(shortened(form)));
        }
        let (seed, at_ms) = (self.number("seed")?.unwrap_or(1), self.number("t")?);
        let spec = Spec { course: self.course()?, seed, forked_at_ms: None, user_actions: self.user_actions()? };
        Ok(Permalink {
            selection: self.get("select").map(|text| selection(text, spec.dimension_bits())).transpose()?,
            spec,
            at_ms: at_ms.map(|at_ms| at_ms.min(LONGEST_MS)),
            topic: self.get("topic").map(unescape).unwrap_or_default(),
            lesson: self.get("lesson").map(unescape),
            from_live: self.get("live").is_some(),
            made_by: self.get("by").filter(|by| *by != env!("CARGO_PKG_VERSION")).map(shortened),
        })
    }

    fn course(&self) -> Result<Course, BadAddress> {
        let bits = self.number("d")?;
        let dimension = bits.map(dimension).transpose()?;
        let (mut scenario, reduction) = match (self.get("custom"), self.get("scenario")) {
            (Some(custom), _) => custom_scenario(custom)?,
            (None, Some(name)) if name != "quiet" => {
                let known = catalogue::scenario(name);
                (known.ok_or_else(|| BadAddress::UnknownScenario(shortened(name)))?, Reduction::default())
            }
            (None, _) => {
                let usual = || Dimension::new(3).expect("three is a dimension");
                return Ok(Course::Quiet { dimension: dimension.unwrap_or_else(usual) });
            }
        };
        if let Some(dimension) = dimension {
            scenario.dimensions = vec![dimension.bits()];
        }
        scenario.check().map_err(|bad| BadAddress::Scenario(bad.to_string()))?;
        Ok(Course::Scenario { scenario: Box::new(scenario), reduction })
    }

    fn user_actions(&self) -> Result<Vec<UserAction>, BadAddress> {
        let Some(text) = self.get("do") else { return Ok(Vec::new()) };
        let bytes = BASE64.decode(text).map_err(|_| BadAddress::Deeds("they are not base64"))?;
        let user_actions: Vec<UserAction> = postcard::from_bytes(&bytes)
            .map_err(|_| BadAddress::Deeds("another version wrote them, or they are truncated"))?;
        if user_actions.len() > MAX_USER_ACTIONS {
            return Err(BadAddress::Deeds("there are too many"));
        }
        if !user_actions.is_sorted_by_key(|user_action| user_action.at_ms) {
            return Err(BadAddress::Deeds("they are not in order of time"));
        }
        Ok(user_actions)
    }
}

fn dimension(bits: u64) -> Result<Dimension, BadAddress> {
    let small = u8::try_from(bits).ok().filter(|bits| *bits <= Dimension::MAX_PROCESSES);
    small.and_then(|bits| Dimension::new(bits).ok()).ok_or(BadAddress::Dimension(bits))
}

/// A node, or two neighbours joined by `-`.
fn selection(text: &str, bits: u8) -> Result<Selection, BadAddress> {
    let bad = || BadAddress::Selection(shortened(text));
    let seating = Seating::founding(Dimension::new(bits).map_err(|_| bad())?);
    let node = |text: &str| seating.parse_host(text).map_err(|_| bad());
    match text.split_once('-') {
        None => Ok(Selection::Node(node(text)?)),
        Some((a, b)) => {
            let (a, b) = (node(a)?, node(b)?);
            if seating.edge(a, b).is_some() { Ok(Selection::edge(a, b)) } else { Err(bad()) }
        }
    }
}

fn custom_scenario(text: &str) -> Result<(Scenario, Reduction), BadAddress> {
    let bytes = BASE64.decode(text).map_err(|_| BadAddress::Scenario("it is not base64".into()))?;
    serde_json::from_slice(&bytes).map_err(|error| BadAddress::Scenario(error.to_string()))
}

/// The start of an untrusted text, short enough for a sentence.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use cubecast_core::faults::StopMode;
    use cubecast_core::wire::client::Ack;

    use super::*;
    use crate::model::{Act, tasks};

    fn read(fragment: &str) -> Result<Permalink, BadAddress> {
        Permalink::read(fragment).expect("it asks for a simulation")
    }

    fn user_actions() -> Vec<UserAction> {
        let publish = tasks::publish("p", "news", "hällo & more", Ack::All).unwrap();
        let crash = tasks::stop_node("100".parse().unwrap(), StopMode::Wipe, 5_000);
        let open = Act::OpenInbox { subscriber: "s".parse().unwrap(), topic: "news".parse().unwrap() };
        [(2_100, Act::Run(publish)), (2_100, open), (4_000, Act::Run(crash))]
            .map(|(at_ms, act)| UserAction { at_ms, act })
            .into()
    }

    #[test]
    fn what_is_written_is_read() {
        let d5 = Scenario { dimensions: vec![5], ..catalogue::scenario("anything").unwrap() };
        let custom = Scenario { name: "mine".into(), seconds: 3, ..d5.clone() };
        let quiet = Spec::quiet(Dimension::new(6).unwrap(), u64::MAX);
        for spec in [quiet, Spec::of(catalogue::scenario("calm").unwrap(), 7), Spec::of(d5, 8), Spec::of(custom, 9)] {
            let link = Permalink {
                spec: Spec { user_actions: user_actions(), ..spec },
                at_ms: Some(12_345),
                topic: "50% & ünïcode".into(),
                selection: None,
                lesson: Some("failover".into()),
                from_live: true,
                made_by: None,
            };
            assert_eq!(read(&link.write()), Ok(link));
        }
    }

    #[test]
    fn what_is_selected_is_written_and_must_be_there() {
        for text in ["100", "000-001"] {
            let link = read(&format!("#simulated&select={text}")).unwrap();
            assert!(link.write().contains(&format!("&select={text}")), "{}", link.write());
        }
        for text in ["1000", "000-011", "x", "000-", ""] {
            assert_eq!(read(&format!("#simulated&select={text}")), Err(BadAddress::Selection(text.into())));
        }
    }

    #[test]
    fn an_address_with_nothing_more_asks_for_a_quiet_cube() {
        assert_eq!(read("#simulated"), Ok(Permalink::default()));
        assert!(
            ["", "#", "#live", "#controls", "#simulatedx&seed=2"].iter().all(|other| Permalink::read(other).is_none())
        );
    }

    #[test]
    fn rubbish_is_refused_with_a_reason() {
        let why = |fragment: &str| read(fragment).unwrap_err().to_string();
        assert_eq!(why("#simulated&seed=one"), "`seed` must be a number and is `one`");
        assert!(why("#simulated&d=7").contains("a cube of dimension 7"));
        assert!(why("#simulated&d=0").contains("a cube of dimension 0"));
        assert!(why("#simulated&scenario=bliss").contains("choose from quiet, calm"));
        assert!(why("#simulated&scenario=rolling-crash&d=2").contains("not a node of a cube of dimension 2"));
        assert!(why("#simulated&v=9").contains("format 9"));
        assert!(why("#simulated&do=%").contains("not base64"));
        assert!(why("#simulated&do=_____w").contains("another version wrote them, or they are truncated"));
        assert!(why("#simulated&custom=e30").contains("cannot be run"));
        assert_eq!(read(&format!("#simulated&topic={}", "x".repeat(40_000))), Err(BadAddress::TooLong(40_017)));
        let unsorted: Vec<UserAction> = user_actions().into_iter().rev().collect();
        let text = BASE64.encode(postcard::to_allocvec(&unsorted).unwrap());
        assert!(why(&format!("#simulated&do={text}")).contains("not in order"));
        assert!(why(&format!("#simulated&do={text}==")).contains("not base64"), "padding");
    }

    #[test]
    fn no_cut_of_a_good_address_makes_the_page_panic() {
        let link = Permalink { spec: Spec { user_actions: user_actions(), ..Spec::default() }, ..Permalink::default() }
            .write();
        let refused = (0..link.len()).filter(|end| matches!(Permalink::read(&link[..*end]), Some(Err(_)))).count();
        assert!(refused > 50, "{refused} cuts were refused");
    }

    #[test]
    fn a_link_of_another_version_says_so() {
        assert_eq!(read("#simulated&by=0.0.7").unwrap().made_by.as_deref(), Some("0.0.7"));
    }
}
