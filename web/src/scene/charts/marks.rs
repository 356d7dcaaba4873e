//! What is drawn through all charts: the seconds in which something broke or healed, and outages.

use super::{HEIGHT, WIDTH, Window};
use crate::model::charts::Availability;
use crate::model::feed::{Fact, FaultChange};

/// Distance from which two fault marks are separate, in pixels.
const APART_PX: f64 = 46.0;

/// What is drawn through all charts, as SVG paths.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Marks {
    /// Seconds in which a publish of this page failed.
    pub failed: String,
    /// Seconds in which one took longer than a second.
    pub slow: String,
    /// Where faults began.
    pub began: String,
    /// Where faults ended.
    pub ended: String,
}

/// Faults of neighbouring seconds that share a mark.
#[derive(Clone, PartialEq, Debug)]
pub struct FaultGroup {
    /// The first of its seconds, as an index.
    pub at: usize,
    /// The last of its seconds.
    pub to: usize,
    /// From 0 to 1, from left to right.
    pub share: f64,
    pub count: usize,
    /// Whether any of the faults began.
    pub began: bool,
    /// Whether any of the faults ended.
    pub ended: bool,
}

impl Window<'_> {
    /// The faults as marks in a lane of this width.
    pub(super) fn fault_groups(&self, width_px: f64) -> Vec<FaultGroup> {
        let apart = APART_PX / width_px.max(1.0);
        let mut groups: Vec<FaultGroup> = Vec::new();
        for (at, second) in self.seconds.iter().enumerate().filter(|(_, second)| !second.faults.is_empty()) {
            let share = self.frame().share_of(at);
            let is = |change| second.faults.iter().any(|fact: &Fact| fact.fault() == Some(change));
            let (began, ended) = (is(FaultChange::Began), is(FaultChange::Ended));
            let count = second.faults.len() + second.more_faults as usize;
            match groups.last_mut().filter(|group| share - group.share < apart) {
                Some(group) => {
                    group.to = at;
                    group.count += count;
                    group.began |= began;
                    group.ended |= ended;
                }
                None => groups.push(FaultGroup { at, to: at, share, count, began, ended }),
            }
        }
        groups
    }

    /// Outages, and a line for each group of faults. A group in which something broke counts as broken.
    pub(super) fn marks(&self, groups: &[FaultGroup]) -> Marks {
        let mut marks = Marks::default();
        for run in self.strip() {
            let (path, top) = match run.state {
                Availability::Failed => (&mut marks.failed, 0.0),
                Availability::Slow => (&mut marks.slow, HEIGHT / 2.0),
                Availability::Quiet | Availability::Good => continue,
            };
            *path += &format!("M{:.1} {top}h{:.1}V{HEIGHT}h-{:.1}z", run.x, run.width, run.width);
        }
        for group in groups {
            let path = if group.began { &mut marks.began } else { &mut marks.ended };
            *path += &format!("M{:.1} 0V{HEIGHT}", group.share * WIDTH);
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{history, window};
    use super::*;

    #[test]
    fn faults_that_are_far_apart_have_marks_of_their_own() {
        let history = history(30);
        let groups = window(&history, 30).fault_groups(1_000.0);
        let found: Vec<_> = groups.iter().map(|group| (group.at, group.count, group.began, group.ended)).collect();
        assert_eq!(found, [(20, 1, true, false), (22, 3, false, true)], "more than are named are counted");
    }

    #[test]
    fn faults_in_one_place_share_a_mark_with_their_number() {
        let history = history(30);
        let groups = window(&history, 600).fault_groups(1_000.0);
        let found: Vec<_> = groups.iter().map(|group| (group.at, group.to, group.count)).collect();
        assert_eq!(found, [(20, 22, 4)]);
        assert!(groups[0].began && groups[0].ended);
    }

    #[test]
    fn marks_never_overlap() {
        let mut history = history(600);
        for second in &mut history.seconds {
            let fault = Fact::Returned { node: "100".parse().unwrap(), is_new: false };
            std::rc::Rc::make_mut(second).faults = vec![fault];
        }
        let groups = window(&history, 600).fault_groups(390.0);
        assert!(groups.is_sorted_by(|a, b| b.share - a.share >= APART_PX / 390.0), "{groups:?}");
        assert_eq!(groups.iter().map(|group| group.count).sum::<usize>(), 602);
        assert!(groups.len() <= 15, "{}", groups.len());
    }

    #[test]
    fn outages_are_shaded_for_as_long_as_they_took() {
        let history = history(30);
        let marks = window(&history, 30).marks(&[]);
        assert_eq!(marks.failed, "M200.0 0h20.0V84h-20.0z");
        assert_eq!(marks.slow, "M220.0 42h10.0V84h-10.0z");
    }
}
