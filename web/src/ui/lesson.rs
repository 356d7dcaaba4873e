//! A lesson beside the cube: explanation, question, button, and checks.

use yew::prelude::*;

use super::field::deliberate;
use crate::lessons::{self, Guess, Lesson, LessonProgress};

/// The user's action in a lesson.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum LessonCommand {
    Guess(usize),
    Begin,
    GoOn,
    /// Restarts at the first step, with the initial state.
    Again,
    Leave,
}

/// Properties of [`LessonCard`].
#[derive(Properties, PartialEq)]
pub struct LessonCardProps {
    pub progress: LessonProgress,
    /// Shown after the last step: what the user can do next.
    pub afterwards: &'static str,
    pub command: Callback<LessonCommand>,
}

/// The current step of a lesson.
#[component]
pub fn LessonCard(props: &LessonCardProps) -> Html {
    let progress = &props.progress;
    let (lesson, step) = (&progress.lesson, progress.step());
    // These buttons replace each other, so double clicks are ignored.
    let command = |command: LessonCommand| deliberate(props.command.reform(move |()| command));
    let must_guess = step.guess.is_some() && progress.guessed.is_none();
    html! {
        <section
            class="card lesson"
            aria-label={format!("Lesson: {}", lesson.title)}
            data-testid="lesson"
            data-step={progress.number().to_string()}
        >
            <header>
                <h2>{lesson.title}</h2>
                <span class="aside">{format!("{} of {}", progress.number(), lesson.steps.len())}</span>
            </header>
            <p>{step.text}</p>
            { step.guess.as_ref().map(|guess| question(props, guess)).unwrap_or_default() }
            <div class="actions">
                if !progress.is_begun {
                    <button
                        type="button"
                        class="primary"
                        data-testid="lesson-begin"
                        onclick={command(LessonCommand::Begin)}
                        disabled={must_guess}
                    >
                        {step.button}
                    </button>
                } else if progress.is_done() && !progress.is_last() {
                    <button
                        type="button"
                        class="primary"
                        data-testid="lesson-next"
                        onclick={command(LessonCommand::GoOn)}
                    >
                        {"Continue"}
                    </button>
                }
                <button type="button" class="quiet" data-testid="lesson-again" onclick={command(LessonCommand::Again)}>
                    {"Start again"}
                </button>
                <button type="button" class="quiet" data-testid="lesson-leave" onclick={command(LessonCommand::Leave)}>
                    {"Leave"}
                </button>
            </div>
            if must_guess && !progress.is_begun {
                <p class="aside">{"Guess first: a wrong guess teaches the most."}</p>
            }
            <ul class="checks" role="status" aria-live="polite">
                { for step
                    .expected
                    .iter()
                    .zip(progress.seen())
                    .filter(|_| progress.is_begun)
                    .map(|(expected, seen)| html! {
                        <li data-state={if *seen { "seen" } else { "awaited" }}>{expected.words()}</li>
                    }) }
            </ul>
            if progress.is_done() {
                if let Some(guess) = &step.guess {
                    <p class="because">{verdict(guess, progress.guessed)}{" "}{guess.because}</p>
                }
                if progress.is_last() {
                    <p class="good" data-testid="lesson-done">
                        {"The lesson is complete. "}{props.afterwards}
                    </p>
                }
            }
        </section>
    }
}

fn question(props: &LessonCardProps, guess: &Guess) -> Html {
    let progress = &props.progress;
    html! {
        <fieldset class="guess">
            <legend>{guess.question}</legend>
            { for guess.choices.iter().enumerate().map(|(place, choice)| {
                let onchange = props.command.reform(move |_: Event| LessonCommand::Guess(place));
                let standing = match (progress.is_done(), place == guess.right) {
                    (false, _) => "open",
                    (true, true) => "right",
                    (true, false) => "wrong",
                };
                html! {
                    <label key={place} class="check" data-state={standing}>
                        <input
                            type="radio"
                            name="guess"
                            data-testid={format!("guess-{place}")}
                            checked={progress.guessed == Some(place)}
                            disabled={progress.is_begun}
                            {onchange}
                        />
                        {*choice}
                    </label>
                }
            }) }
        </fieldset>
    }
}

fn verdict(guess: &Guess, guessed: Option<usize>) -> &'static str {
    if guessed == Some(guess.right) { "You guessed right." } else { "You guessed wrong." }
}

/// Properties of [`LessonList`].
#[derive(Properties, PartialEq)]
pub struct LessonListProps {
    /// Why no lesson can begin now.
    #[prop_or_default]
    pub lacks: Option<String>,
    pub choose: Callback<Lesson>,
}

/// The selectable lessons.
#[component]
pub fn LessonList(props: &LessonListProps) -> Html {
    html! {
        <details class="card lessons" data-testid="lessons">
            <summary>
                <strong>{"Lessons"}</strong>
                <span>{format!("{} short lessons: guess, break, and watch", lessons::all().len())}</span>
            </summary>
            if let Some(lacks) = &props.lacks {
                <p class="aside" data-testid="lessons-lack">{lacks.clone()}</p>
            }
            <ol>
                { for lessons::all().into_iter().map(|lesson| {
                    let (id, title, about) = (lesson.id, lesson.title, lesson.about);
                    let onclick = props.choose.reform(move |_: MouseEvent| lesson.clone());
                    html! {
                        <li key={id}>
                            <button
                                type="button"
                                data-testid={format!("lesson-{id}")}
                                {onclick}
                                disabled={props.lacks.is_some()}
                            >
                                <strong>{title}</strong>
                                <span>{about}</span>
                            </button>
                        </li>
                    }
                }) }
            </ol>
        </details>
    }
}
