//! A user's progress in a lesson.

use super::{Lesson, LessonStep};
use crate::model::State;

/// The current step of a lesson, and which of its checks have held.
#[derive(Clone, PartialEq, Debug)]
pub struct LessonProgress {
    /// The lesson.
    pub lesson: Lesson,
    at: usize,
    /// Index of the chosen answer in the step's [`Guess`](super::Guess); `None` before a choice.
    pub guessed: Option<usize>,
    /// Whether the step's button was pressed.
    pub is_begun: bool,
    /// Per check: whether it has held since the button was pressed.
    seen: Vec<bool>,
}

impl LessonProgress {
    /// The start of a lesson.
    pub fn of(lesson: Lesson) -> LessonProgress {
        let mut progress = LessonProgress { lesson, at: 0, guessed: None, is_begun: false, seen: Vec::new() };
        progress.go_to(0);
        progress
    }

    /// Number of the current step, from 1.
    pub fn number(&self) -> usize {
        self.at + 1
    }

    /// The current step.
    pub fn step(&self) -> &LessonStep {
        &self.lesson.steps[self.at]
    }

    /// Records that the step's button was pressed.
    pub fn begin(&mut self) {
        self.is_begun = true;
    }

    /// Evaluates the checks against the state. A check that held once stays passed.
    pub fn look(&mut self, state: &State) {
        if !self.is_begun {
            return;
        }
        let holds: Vec<bool> = self.step().expected.iter().map(|expected| expected.holds(state)).collect();
        for (seen, holds) in self.seen.iter_mut().zip(holds) {
            *seen |= holds;
        }
    }

    /// Per check of the step: whether it has passed.
    pub fn seen(&self) -> &[bool] {
        &self.seen
    }

    /// Whether all checks of the step have passed.
    pub fn is_done(&self) -> bool {
        self.is_begun && self.seen.iter().all(|seen| *seen)
    }

    /// Whether this is the last step.
    pub fn is_last(&self) -> bool {
        self.at + 1 == self.lesson.steps.len()
    }

    /// Moves to the next step if this one is done.
    pub fn go_on(&mut self) {
        if self.is_done() && !self.is_last() {
            self.go_to(self.at + 1);
        }
    }

    fn go_to(&mut self, at: usize) {
        self.at = at;
        (self.guessed, self.is_begun) = (None, false);
        self.seen = vec![false; self.step().expected.len()];
    }
}

#[cfg(test)]
mod tests {
    use cubecast_core::faults::StopMode;

    use super::*;
    use crate::lessons;
    use crate::model::Act;
    use crate::simulated::Player;

    /// Runs a whole lesson like a user who waits until each step's deadline.
    fn do_lesson(lesson: Lesson) {
        let mut player = Player::new(lesson.spec());
        let mut progress = LessonProgress::of(lesson);
        loop {
            let (id, number, step) = (progress.lesson.id, progress.number(), progress.step().clone());
            let state = player.state();
            let holding: Vec<bool> = step.expected.iter().map(|expected| expected.holds(&state)).collect();
            assert!(!holding.iter().all(|holds| *holds), "{id} {number}: nothing has to be done for it");
            progress.begin();
            player
                .act_later(step.tasks.iter().map(|(after_ms, task)| (*after_ms, Act::Run(task.clone()))).collect())
                .unwrap();
            let until_ms = player.shown_ms() + step.by_ms;
            while player.shown_ms() < until_ms {
                player.seek(until_ms.min(player.shown_ms() + 50));
                player.settle();
                progress.look(&player.state());
            }
            let missing: Vec<String> = step
                .expected
                .iter()
                .zip(progress.seen())
                .filter(|(_, seen)| !**seen)
                .map(|(expected, _)| expected.words())
                .collect();
            assert!(missing.is_empty(), "{id} {number}: {missing:?}; {:?}", player.state().reports);
            if progress.is_last() {
                return;
            }
            progress.go_on();
            assert_eq!(progress.number(), number + 1);
        }
    }

    #[test]
    fn every_lesson_shows_what_it_says() {
        assert!(lessons::all().len() >= 6);
        for lesson in lessons::all() {
            do_lesson(lesson);
        }
    }

    #[test]
    fn a_live_cluster_must_be_whole_and_without_their_topic() {
        let lesson = lessons::lesson("placement").unwrap();
        let mut player = Player::new(lesson.spec());
        let to = |player: &mut Player, at_ms: u64| {
            while player.shown_ms() < at_ms {
                player.seek(at_ms.min(player.shown_ms() + 50));
                player.settle();
            }
            player.state()
        };
        assert_eq!((lessons::lacks(&player.state()), lessons::left_over(&player.state())), (None, None));
        let create = lesson.steps[0].tasks.iter().map(|(after_ms, task)| (*after_ms, Act::Run(task.clone())));
        player.act_later(create.collect()).unwrap();
        let state = to(&mut player, 1_500);
        assert!(lessons::lacks(&state).unwrap().contains("delete the existing one first"));
        let clean_up = Act::Run(lessons::left_over(&state).unwrap());
        let crash = Act::Run(crate::model::tasks::stop_node("110".parse().unwrap(), StopMode::Crash, 60_000));
        player.act_later(vec![(0, clean_up), (500, crash)]).unwrap();
        let state = to(&mut player, 3_500);
        assert!(lessons::lacks(&state).unwrap().contains("all eight nodes are up"));
        assert_eq!(lessons::left_over(&state), None);
        assert!(lessons::lacks(&State::default()).unwrap().contains("connected to a cluster"));
    }

    #[test]
    fn every_guess_has_its_answer_and_every_lesson_its_own_address() {
        let all = lessons::all();
        for lesson in &all {
            assert_eq!(all.iter().filter(|other| other.id == lesson.id).count(), 1);
            assert_eq!(lessons::lesson(lesson.id).as_ref(), Some(lesson));
            let guesses = lesson.steps.iter().filter_map(|step| step.guess.as_ref());
            assert!(guesses.clone().count() > 0 && guesses.clone().all(|guess| guess.right < guess.choices.len()));
        }
        assert_eq!(lessons::lesson("nothing"), None);
    }
}
