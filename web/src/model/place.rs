//! The state of the live page as a fragment of its address: the topic, the tabs, the selection and the layout. A link
//! leads there, and the browser's Back returns there.

use cubecast_core::identity::HostId;

use super::action::ViewAction;
use super::state::State;
use super::view::{CloserTab, Layout, Selection, Tab};
use crate::format::{escape, unescape};

/// A place in the page. Fields that an address lacks have their usual values.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Place {
    pub topic: String,
    pub tab: Tab,
    pub view: CloserTab,
    pub selection: Option<Selection>,
    pub layout: Layout,
}

const TABS: [(Tab, &str); 3] = [(Tab::Messages, "messages"), (Tab::Browse, "browse"), (Tab::Break, "break")];
const VIEWS: [(CloserTab, &str); 6] = [
    (CloserTab::Feed, "events"),
    (CloserTab::Xray, "xray"),
    (CloserTab::Invariants, "invariants"),
    (CloserTab::SpaceTime, "spacetime"),
    (CloserTab::Charts, "charts"),
    (CloserTab::Nodes, "nodes"),
];

impl Place {
    /// The place that the state shows.
    pub fn of(state: &State) -> Place {
        let State { topic_text, tab, closer, selection, layout, .. } = state;
        Place { topic: topic_text.clone(), tab: *tab, view: closer.tab, selection: *selection, layout: *layout }
    }

    /// The fragment with its `#`. The usual place has the shortest.
    pub fn write(&self) -> String {
        let mut fields = Vec::new();
        if !self.topic.is_empty() {
            fields.push(format!("topic={}", escape(&self.topic)));
        }
        if self.tab != Tab::default() {
            fields.extend(TABS.iter().find(|(tab, _)| *tab == self.tab).map(|(_, word)| format!("tab={word}")));
        }
        if self.view != CloserTab::default() {
            fields.extend(VIEWS.iter().find(|(view, _)| *view == self.view).map(|(_, word)| format!("view={word}")));
        }
        match self.selection {
            Some(Selection::Node(node)) => fields.push(format!("select={node}")),
            Some(Selection::Edge(a, b)) => fields.push(format!("select={a}-{b}")),
            None => {}
        }
        if self.layout != Layout::default() {
            fields.push(format!("layout={}", self.layout.name()));
        }
        format!("#{}", fields.join("&"))
    }

    /// `None` if the fragment is of another kind, for example that of a link within the page. Unknown fields and values
    /// are ignored.
    pub fn read(fragment: &str) -> Option<Place> {
        let fields = fragment.strip_prefix('#').unwrap_or(fragment);
        let mut place = Place::default();
        for field in fields.split('&').filter(|field| !field.is_empty()) {
            let (name, value) = field.split_once('=')?;
            match name {
                "topic" => place.topic = unescape(value),
                "tab" => place.tab = TABS.iter().find(|(_, word)| *word == value).map_or(place.tab, |(tab, _)| *tab),
                "view" => {
                    place.view = VIEWS.iter().find(|(_, word)| *word == value).map_or(place.view, |(view, _)| *view);
                }
                "layout" => place.layout = Layout::named(value).unwrap_or_default(),
                "select" => place.selection = read_selection(value),
                _ => {}
            }
        }
        Some(place)
    }

    /// The actions that lead there. A selection opens a tab, so the tabs are chosen after it.
    pub fn actions(&self) -> Vec<ViewAction> {
        vec![
            ViewAction::ChooseTopic(self.topic.clone()),
            ViewAction::Select(self.selection),
            ViewAction::ChooseTab(self.tab),
            ViewAction::ChooseCloserTab(self.view),
            ViewAction::ChooseLayout(self.layout),
        ]
    }
}

fn read_selection(text: &str) -> Option<Selection> {
    let host = |text: &str| text.parse::<HostId>().ok();
    match text.split_once('-') {
        None => host(text).map(Selection::Node),
        Some((a, b)) => Some(Selection::edge(host(a)?, host(b)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Moment};
    use crate::testing::named;

    #[test]
    fn a_place_is_read_as_it_was_written() {
        let selections = [None, Some(Selection::Node(named("100"))), Some(Selection::edge(named("001"), named("000")))];
        for (selection, (view, _)) in selections.into_iter().zip(VIEWS) {
            for (tab, _) in TABS {
                for layout in [Layout::Cube, Layout::Grid] {
                    let place = Place { topic: "a b&c=ü".into(), tab, view, selection, layout };
                    assert_eq!(Place::read(&place.write()), Some(place));
                }
            }
        }
        assert_eq!(Place::default().write(), "#");
        assert_eq!(Place::read(""), Some(Place::default()));
    }

    #[test]
    fn the_actions_of_a_place_lead_there() {
        let selection = Some(Selection::Node(named("100")));
        let layout = Layout::Grid;
        let place = Place { topic: "news".into(), tab: Tab::Browse, view: CloserTab::Xray, selection, layout };
        let actions = place.actions().into_iter().map(Action::View).collect();
        assert_eq!(Place::of(&State::default().after(Moment { now_ms: 1, actions })), place);
    }

    #[test]
    fn other_fragments_are_no_places_and_nonsense_is_ignored() {
        assert_eq!(Place::read("#controls"), None);
        assert_eq!(Place::read("#tab=nonsense&view=&select=x-y&layout=&more=1"), Some(Place::default()));
    }
}
