//! A report for people.

use cubecast_node::output::{Table, time_span};

use super::{Messages, Recovered, Report, Splits, Unavailable};

impl Report {
    /// The report as text for people.
    pub fn render(&self) -> String {
        let sections = [
            self.render_operations(),
            self.render_messages(),
            self.render_faults(),
            self.render_recovery(),
            self.render_checks(),
        ];
        sections.join("\n\n")
    }

    fn render_operations(&self) -> String {
        let mut table = Table::new(["operation", "done", "in doubt", "refused", "why"]);
        for (name, tally) in &self.operations {
            let refused: u64 = tally.refused.values().sum();
            let why = tally.refused.iter().map(|(code, count)| format!("{code} {count}"));
            let why = why.collect::<Vec<_>>().join(", ");
            table.row([(*name).into(), tally.done.to_string(), tally.in_doubt.to_string(), refused.to_string(), why]);
        }
        table.render()
    }

    fn render_messages(&self) -> String {
        let Messages { acknowledged, acknowledged_to_stay, lost, lost_with_a_disk, doubled } = self.messages;
        let mut text = format!(
            "{acknowledged} messages acknowledged, {acknowledged_to_stay} of them on lasting topics: {lost} lost, \
             {doubled} duplicated."
        );
        if lost_with_a_disk > 0 {
            text += &format!(
                "\nLost, but acknowledged by only one node, whose disk may have been lost before replication: \
                 {lost_with_a_disk}."
            );
        }
        text += &format!("\n{} push sessions, {} deliveries.", self.push.sessions, self.push.deliveries);
        for Unavailable { topic, longest_ms, at_s } in &self.unavailable {
            text += &format!(
                "\nLongest time without an acknowledged publish to {topic}: {}, starting at {at_s:.1} s.",
                time_span(*longest_ms)
            );
        }
        text
    }

    fn render_faults(&self) -> String {
        let total: u64 = self.faults.values().sum();
        let by_class = self.faults.iter().map(|(class, count)| format!("{class} {count}"));
        let mut text = format!("{total} faults in {:.0} s: {}.", self.seconds, by_class.collect::<Vec<_>>().join(", "));
        let Splits { count, majority_done, minority_done, minority_not_done } = self.splits;
        if count > 0 {
            text += &format!(
                "\nSplit from outside {count} times: majorities completed {majority_done} operations, minorities \
                 {minority_done}; minorities did not complete {minority_not_done}."
            );
        }
        text
    }

    fn render_recovery(&self) -> String {
        let Recovered { limit_ms, published_ms, homes_lead_ms, replicas_equal_ms, outboxes_empty_ms, remains } =
            &self.recovery;
        let after = |ms: &Option<u64>| ms.map_or_else(|| format!("NOT within {}", time_span(*limit_ms)), time_span);
        let mut text = format!(
            "Time after all faults were mended: homes lead {}, outboxes empty {}, publish with ack all {}, replicas \
             equal {}.",
            after(homes_lead_ms),
            after(outboxes_empty_ms),
            after(published_ms),
            after(replicas_equal_ms)
        );
        for what in remains {
            text += &format!("\n  {what}");
        }
        text
    }

    fn render_checks(&self) -> String {
        let mut table = Table::new(["checker", "facts"]);
        for (checker, facts) in &self.checked {
            table.row([checker.clone(), facts.to_string()]);
        }
        let mut text = table.render();
        match self.violations.len() {
            0 => text += &format!("\n\nNo violations (seed {}).", self.seed),
            count => {
                text += &format!("\n\n{count} VIOLATIONS (seed {}):", self.seed);
                for violation in &self.violations {
                    text += &format!("\n  {violation}");
                }
                text += "\n\nFaults and their times:";
                for line in &self.story {
                    text += &format!("\n  {line}");
                }
            }
        }
        text
    }
}
