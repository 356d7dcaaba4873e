//! Progress of the user's tasks.

use cubecast_core::names::Offset;
use cubecast_core::wire::answer::{Answer, Done};
use cubecast_core::wire::client;

use crate::model::charts::SLOW_MS;
use crate::model::gate;
use crate::model::report::{Remark, TaskChange};
use crate::model::state::State;
use crate::model::stored::StoredPage;
use crate::model::task::Panel;
use crate::model::tone::Tone;

impl State {
    pub(super) fn change_task(&mut self, panel: Panel, task: u64, change: TaskChange) {
        let mut in_cluster_us = None;
        if matches!(panel, Panel::Publish | Panel::Backstage) {
            self.sent.change().change(self.now_ms, task, &change);
        }
        match &change {
            TaskChange::Started { goal } => self.expect_deliveries(task, goal.as_ref()),
            TaskChange::Answered { answer, took_ms } => {
                if panel == Panel::Publish {
                    self.measure_publish(answer, *took_ms);
                }
                if let Ok(Done::Subscribed { cursor, .. }) = &answer.result {
                    self.confirm_subscription(task, *cursor);
                }
                if panel == Panel::Browse && self.reports.get(panel).is_some_and(|report| report.task == task) {
                    self.show_stored(answer);
                }
                in_cluster_us = self.closer.recorder.in_cluster_us(answer);
            }
            TaskChange::GaveUp(_) => {
                if panel == Panel::Publish {
                    self.closer.charts.change().add_failed(self.now_ms, SLOW_MS);
                }
                self.inboxes.change().end_task(task);
            }
            TaskChange::Ended => self.inboxes.change().end_task(task),
            TaskChange::Asked(_) | TaskChange::FellOver(_) | TaskChange::Found(_) => {}
            TaskChange::LeftOut { .. } | TaskChange::TopicExisted { .. } => {}
        }
        let is_asked = matches!(change, TaskChange::Asked(_));
        self.reports.change().change(self.now_ms, panel, task, change, in_cluster_us);
        if is_asked {
            self.report_obstacles();
        }
    }

    fn show_stored(&mut self, answer: &Answer) {
        let page = StoredPage::of(answer).filter(|page| self.topic().as_ref() == Some(&page.topic));
        if page.is_some() {
            self.stored = page.into();
        }
    }

    /// The inbox was opened before the task started.
    fn expect_deliveries(&mut self, task: u64, goal: Option<&client::Action>) {
        if let Some(client::Action::Write(client::Write::Subscribe { subscriber, topic, push: true, .. })) = goal {
            self.inboxes.change().ask(subscriber, topic, task);
        }
    }

    /// The first messages may have arrived before the answer.
    fn confirm_subscription(&mut self, task: u64, cursor: Offset) {
        self.inboxes.change().confirm(task, cursor);
        let Some((subscriber, topic)) = self.inboxes.asked_by(task) else { return };
        let next = self.inboxes.get(subscriber, topic).and_then(|inbox| inbox.next).unwrap_or(cursor);
        self.closer.charts.change().learn_own(self.now_ms, topic, subscriber, next.0);
    }

    /// The answer may be that to the registration of the publisher.
    fn measure_publish(&mut self, answer: &Answer, took_ms: f64) {
        self.closer.recorder.change().learn_answer(answer, took_ms);
        let charts = self.closer.charts.change();
        match &answer.result {
            Ok(Done::Published { .. }) => charts.add_published(self.now_ms, took_ms),
            Ok(_) => charts.roll(self.now_ms),
            Err(_) => charts.add_failed(self.now_ms, took_ms),
        }
    }

    /// Adds a warning, once, to each request in flight that no node can carry out now.
    pub(super) fn report_obstacles(&mut self) {
        let running = self.reports.by_panel.iter().filter(|(_, report)| report.running);
        let obstructed = running.filter_map(|(panel, report)| {
            let obstacle = gate::obstacle_to_request(self, report.asked.as_ref()?)?;
            Some((*panel, obstacle))
        });
        for (panel, obstacle) in obstructed.collect::<Vec<_>>() {
            if let Some(report) = self.reports.change().by_panel.get_mut(&panel) {
                report.asked = None;
                report.say(Tone::Warning, Remark::Obstructed(obstacle));
            }
        }
    }
}
