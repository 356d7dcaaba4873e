//! Lessons on the live cluster: tasks go to real nodes, and checks use their reports.

use gloo_timers::callback::Timeout;
use yew::prelude::*;

use super::dispatch::{Command, Dispatch, use_dispatch};
use super::lesson::{LessonCard, LessonCommand, LessonList};
use crate::lessons::{self, Lesson, LessonProgress};
use crate::model::task::Task;
use crate::model::{State, ViewAction};

const AFTERWARDS: &str = "Start again, or break something yourself: faults are listed above and can be undone.";

/// Properties of [`LiveLessons`].
#[derive(Properties, PartialEq)]
pub struct LiveLessonsProps {
    pub state: State,
}

/// The list of lessons, or the lesson in progress.
#[component]
pub fn LiveLessons(props: &LiveLessonsProps) -> Html {
    let dispatch = use_dispatch();
    let progress = use_state(|| None::<LessonProgress>);
    // The newest progress. The state captured by this rendering may be older.
    let newest = use_mut_ref(|| None::<LessonProgress>);
    let waiting = use_mut_ref(Vec::<Timeout>::new);
    let set = {
        let (progress, newest) = (progress.clone(), newest.clone());
        move |next: Option<LessonProgress>| {
            newest.borrow_mut().clone_from(&next);
            progress.set(next);
        }
    };
    {
        let (set, newest) = (set.clone(), newest.clone());
        use_effect_with(props.state.clone(), move |state| {
            let before = newest.borrow().clone();
            let mut seen = before.clone();
            if let Some(progress) = &mut seen {
                progress.look(state);
            }
            if seen != before {
                set(seen);
            }
        });
    }
    let choose = {
        let (set, dispatch) = (set.clone(), dispatch.clone());
        Callback::from(move |lesson: Lesson| {
            dispatch.send(ViewAction::ChooseTopic(lesson.topic.to_owned()));
            set(Some(LessonProgress::of(lesson)));
        })
    };
    let command = {
        let left = lessons::left_over(&props.state);
        Callback::from(move |command: LessonCommand| {
            let Some(mut progress) = newest.borrow().clone() else { return };
            match command {
                LessonCommand::Guess(choice) => progress.guessed = Some(choice),
                LessonCommand::GoOn => progress.go_on(),
                LessonCommand::Leave => {
                    waiting.borrow_mut().clear();
                    return set(None);
                }
                LessonCommand::Again => {
                    waiting.borrow_mut().clear();
                    left.iter().for_each(|clean_up| dispatch.send(Command::Insist(clean_up.clone())));
                    progress = LessonProgress::of(progress.lesson);
                }
                LessonCommand::Begin => {
                    progress.begin();
                    let tasks = progress.step().tasks.iter().cloned();
                    *waiting.borrow_mut() = tasks.map(|(after_ms, task)| later(after_ms, &dispatch, task)).collect();
                }
            }
            set(Some(progress));
        })
    };
    match &*progress {
        Some(progress) => html! { <LessonCard progress={progress.clone()} afterwards={AFTERWARDS} {command} /> },
        None => html! { <LessonList lacks={lessons::lacks(&props.state)} {choose} /> },
    }
}

fn later(after_ms: u64, dispatch: &Dispatch, task: Task) -> Timeout {
    let dispatch = dispatch.clone();
    Timeout::new(u32::try_from(after_ms).unwrap_or(u32::MAX), move || dispatch.send(Command::Insist(task)))
}
