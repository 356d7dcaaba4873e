//! What the user chooses to see.

use cubecast_core::names::TopicName;
use cubecast_core::wire::answer::ErrorCode;

use crate::model::action::ViewAction;
use crate::model::shared::Shared;
use crate::model::state::State;
use crate::model::task::Panel;
use crate::model::view::{Selection, Tab};

impl State {
    pub(super) fn change_view(&mut self, action: ViewAction) {
        match action {
            ViewAction::Select(selection) => self.select(selection),
            ViewAction::ChooseTopic(text) => self.choose_topic(text),
            ViewAction::NamePublisher(text) => {
                if replaced(&mut self.names.publisher, text) {
                    self.reports.change().forget(|panel, _| matches!(panel, Panel::Topic | Panel::Publish));
                }
            }
            ViewAction::NameSubscriber(text) => {
                if replaced(&mut self.names.subscriber, text) {
                    self.reports.change().forget(|panel, _| matches!(panel, Panel::Subscribe | Panel::Browse));
                }
            }
            ViewAction::ChooseTab(tab) => self.tab = tab,
            ViewAction::ChooseCloserTab(tab) => self.closer.tab = tab,
            ViewAction::ChooseLayout(layout) => self.layout = layout,
            ViewAction::ShowBackground(show) => self.show_background = show,
            ViewAction::TraceNext => self.closer.recorder.change().follow_next(),
            ViewAction::PickRequest(trace) => self.closer.recorder.change().follow(trace),
            ViewAction::DismissViolation => {
                self.closer.frozen = None;
                self.closer.invariants.change().violation = None;
            }
            ViewAction::HoldTask { task, obstacle } => self.reports.change().hold(self.now_ms, task, obstacle),
        }
    }

    /// Selecting opens the tab in which the selection can be broken.
    fn select(&mut self, selection: Option<Selection>) {
        self.selection = selection;
        if selection.is_some() {
            self.tab = Tab::Break;
        }
    }

    /// Discards reports about the previous topic.
    fn choose_topic(&mut self, text: String) {
        self.closer.xray.change().choose(TopicName::new(text.trim()).ok());
        if replaced(&mut self.topic_text, text) {
            self.reports.change().forget(|panel, _| panel.is_about_topic());
            self.stored = Shared::default();
        }
    }

    /// Discards reports that the topic does not exist.
    pub(super) fn welcome_topic(&mut self, topic: &TopicName) {
        if self.topic().as_ref() == Some(topic) {
            self.reports.change().forget(|_, report| report.failed == Some(ErrorCode::UnknownTopic));
        }
    }

    /// Discards finished reports about the deleted topic. A later topic with this name is a new topic.
    pub(super) fn forget_topic(&mut self, topic: &TopicName) {
        self.sent.change().forget(topic);
        self.rates.change().forget(topic);
        if self.topic().as_ref() == Some(topic) {
            self.stored = Shared::default();
            self.reports
                .change()
                .forget(|panel, report| panel.is_about_topic() && !report.running && !report.deletes());
        }
    }
}

/// Whether the new text differs from the old one.
fn replaced(text: &mut String, new: String) -> bool {
    let is_new = *text != new;
    *text = new;
    is_new
}
