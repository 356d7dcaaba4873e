//! The simulated page: owns the player, advances it at each animation frame, and passes user actions to it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use wasm_bindgen::JsCast;
use web_sys::{Element, File, KeyboardEvent};
use yew::prelude::*;

use super::file_input::FileInput;
use super::mode::{ModeSwitch, PageKind, use_asked_run};
use super::setup::Setup;
use super::transport::{PlayerCommand, Transport};
use crate::format::{exact_seconds, grouped};
use crate::lessons::{self, Lesson, LessonProgress};
use crate::model::{Act, State, ViewAction};
use crate::net::browser::{self, Frames, Listener};
use crate::simulated::gallery::GALLERY;
use crate::simulated::spec::Recording;
use crate::simulated::world::ReplayedSoFar;
use crate::simulated::{Course, Mode, Permalink, Player, Spec, carried, trace};
use crate::ui::dispatch::{Command, Dispatch};
use crate::ui::layout_switch;
use crate::ui::lesson::{LessonCard, LessonCommand, LessonList};
use crate::ui::page::Page;
use crate::ui::pulse::Pace;
use crate::ui::words::words;

const WHAT_IF: &str = "This happened on real nodes. Whatever you do here forks it: from that moment on the recorded \
                       nodes go on as a simulation.";
const AFTERWARDS: &str = "Rewind and watch again, or break something yourself.";
/// Minimum interval of redraws, milliseconds.
const DRAW_EVERY_MS: f64 = 30.0;
/// Milliseconds of each frame for the run; the rest is for drawing. A search gets more, because the user waits for it.
const WORK_MS: f64 = 10.0;
const SEEKING_WORK_MS: f64 = 30.0;

/// A run, with the texts shown about it.
struct Show {
    player: Player,
    /// Remarks about the run as a whole: its source, and problems.
    remarks: Vec<Remark>,
    /// The last change of time.
    note: String,
    from_live: bool,
    lesson: Option<LessonProgress>,
}

#[derive(Clone, PartialEq)]
struct Remark {
    tone: &'static str,
    text: String,
}

impl Show {
    fn of_address(fragment: &str) -> Show {
        match Permalink::read(fragment) {
            Some(Ok(link)) => Show::of_link(link),
            Some(Err(why)) => {
                let mut show = Show::of_link(Permalink::default());
                show.remark("bad", format!("Invalid simulation link: {why}. Showing a quiet cluster."));
                show
            }
            None => Show::of_address(GALLERY[0].fragment),
        }
    }

    fn of_link(link: Permalink) -> Show {
        let mut show = Show {
            player: Player::new(link.spec),
            remarks: Vec::new(),
            note: String::new(),
            from_live: link.from_live,
            lesson: link.lesson.as_deref().and_then(lessons::lesson).map(LessonProgress::of),
        };
        show.player.show(ViewAction::ChooseTopic(link.topic));
        show.player.show(ViewAction::ChooseLayout(layout_switch::remembered()));
        if link.selection.is_some() {
            show.player.show(ViewAction::Select(link.selection));
        }
        if link.from_live {
            show.remark("plain", carried::words(show.player.spec()));
        }
        if let Some(unknown) = link.lesson.filter(|_| show.lesson.is_none()) {
            show.remark("warning", format!("There is no lesson `{unknown}`."));
        }
        if let Some(version) = link.made_by {
            show.remark("warning", differs("This link was", &version));
        }
        match link.at_ms {
            Some(at_ms) => show.player.seek(at_ms),
            None => show.player.play(),
        }
        show
    }

    fn of_file(name: &str, bytes: &[u8]) -> Result<Show, String> {
        let opened = trace::open(bytes).map_err(|why| format!("{name} cannot be shown: {why}."))?;
        let mut show = Show::of_link(Permalink { spec: opened.spec, ..Permalink::default() });
        show.player.pause();
        if let Some(version) = &opened.made_by {
            show.remark("warning", differs("This trace was", version));
        }
        let report = &opened.report;
        let run = format!("{name}: seed {} of {}.", report.seed, report.scenario);
        match &report.findings.violations[..] {
            [] => show.remark("good", format!("{run} No invariant was violated. Press play to watch the run.")),
            violations => {
                for violation in violations {
                    show.remark("bad", format!("{run} {} found: {}", violation.checker, violation.what));
                }
            }
        }
        Ok(show)
    }

    fn of_incident(file: &OpenedFile) -> Show {
        let spec = Spec {
            course: Course::Recorded(file.recording.clone()),
            seed: 0,
            forked_at_ms: None,
            user_actions: Vec::new(),
        };
        let mut show = Show::of_link(Permalink { spec, ..Permalink::default() });
        show.player.pause();
        file.remarks.iter().for_each(|(tone, text)| show.remark(tone, text.clone()));
        show
    }

    fn remark(&mut self, tone: &'static str, text: String) {
        self.remarks.push(Remark { tone, text });
    }

    /// Executes a user action; a refusal is shown.
    fn act(&mut self, act: Act) {
        let stands = self.player.mode() == Mode::Paused;
        match self.player.act(act) {
            Ok(()) if stands => self.note = "Done. Time is paused: play or step to see the effect.".into(),
            Ok(()) => {}
            Err(refused) => self.note = refused.to_string(),
        }
    }

    fn apply(&mut self, command: PlayerCommand) {
        command.apply(&mut self.player);
        let at_s = format!("{} s", exact_seconds(self.player.shown_ms()));
        self.note = match (command, self.player.mode()) {
            (PlayerCommand::Fork, _) => format!("Forked at {at_s}: the previous future was discarded."),
            (PlayerCommand::Speed(speed), _) => format!("Speed {}.", speed.words()),
            (PlayerCommand::Scrub(_) | PlayerCommand::CopyLink, _) => return,
            (_, Mode::Playing) => "Playing.".into(),
            (_, Mode::Rewinding { .. }) => "Playing backwards.".into(),
            (_, Mode::Paused | Mode::Seeking { .. } | Mode::Scrubbing { .. }) => format!("Paused at {at_s}."),
        };
    }

    fn learn(&mut self, command: LessonCommand) {
        let Some(progress) = &mut self.lesson else { return };
        match command {
            LessonCommand::Guess(choice) => progress.guessed = Some(choice),
            LessonCommand::GoOn => progress.go_on(),
            LessonCommand::Leave => self.lesson = None,
            LessonCommand::Again => {
                *self = Show::of_link(link_to(progress.lesson.clone()));
            }
            LessonCommand::Begin => {
                progress.begin();
                let tasks = progress.step().tasks.iter().cloned();
                let acts = tasks.map(|(after_ms, task)| (after_ms, Act::Run(task))).collect();
                match self.player.act_later(acts) {
                    Ok(()) => self.player.play(),
                    Err(refused) => self.note = refused.to_string(),
                }
            }
        }
    }

    /// Lets the lesson evaluate its checks on the displayed state.
    fn look(&mut self) {
        if let Some(progress) = &mut self.lesson {
            progress.look(&self.player.state());
        }
    }

    fn link(&self) -> Permalink {
        Permalink {
            spec: self.player.spec().clone(),
            at_ms: Some(self.player.shown_ms()),
            topic: self.player.state().topic_text,
            selection: self.player.state().selection,
            lesson: self.lesson.as_ref().map(|progress| progress.lesson.id.to_owned()),
            from_live: self.from_live,
            made_by: None,
        }
    }
}

/// The remark about a fork of an incident.
fn forked(at_ms: u64) -> Html {
    let at_s = exact_seconds(at_ms);
    let text = format!("Forked at {at_s} s: from there on this is a simulation of the recorded nodes.");
    html! { <p class="remark warning" data-testid="forked">{text}</p> }
}

/// How the replay of an incident compares with the recording.
fn compared(so_far: ReplayedSoFar) -> Html {
    let ReplayedSoFar { turns, first_difference, problem } = so_far;
    let turns = grouped(turns);
    let (tone, text) = match (problem, first_difference) {
        (Some(problem), _) => ("bad", format!("The replay cannot continue: {problem}.")),
        (None, Some((node, at))) => {
            let at_s = exact_seconds(at.0 / 1_000);
            ("bad", format!("Node {node} did something else at {at_s} s than this replay: do not trust what follows."))
        }
        (None, None) => ("good", format!("{turns} turns replayed, each with exactly the recorded effects.")),
    };
    html! { <p class={classes!("remark", tone)} data-testid="comparison" data-state={tone}>{words(&text)}</p> }
}

/// A short text for a mark on the timeline.
fn act_words(act: &Act) -> String {
    match act {
        Act::Run(task) => match task.steps.last() {
            Some(step) => step.action.name().replace('_', " "),
            None => "nothing".to_owned(),
        },
        Act::StopDeliveries { topic, .. } => format!("stop deliveries of {topic}"),
        Act::OpenInbox { topic, .. } => format!("show deliveries of {topic}"),
        Act::CloseInbox { topic, .. } => format!("hide deliveries of {topic}"),
        Act::SetLoad(Some(plan)) => format!("load of {} messages/s", plan.rate),
        Act::SetLoad(None) => "stop the load".to_owned(),
        Act::Seek { topic, .. } => format!("read {topic}"),
    }
}

/// The link to the start of a lesson.
fn link_to(lesson: Lesson) -> Permalink {
    let (spec, topic) = (lesson.spec(), lesson.topic.to_owned());
    Permalink { spec, topic, lesson: Some(lesson.id.to_owned()), ..Permalink::default() }
}

fn differs(what: &str, version: &str) -> String {
    let ours = env!("CARGO_PKG_VERSION");
    format!("{what} made by version {version}, and this page is version {ours}: the run may differ.")
}

/// The simulated page, with the run that its address requests.
#[component]
pub fn SimulatedApp() -> Html {
    let fragment = use_asked_run();
    html! { <Stand key={fragment.clone()} fragment={fragment.clone()} /> }
}

/// An opened incident.
#[derive(Clone)]
pub struct OpenedFile {
    /// Differs for each opened file.
    pub number: u64,
    pub recording: Rc<dyn Recording>,
    /// What is said about it, each with its tone.
    pub remarks: Rc<[(&'static str, String)]>,
}

impl PartialEq for OpenedFile {
    fn eq(&self, other: &OpenedFile) -> bool {
        self.number == other.number
    }
}

/// Properties of [`Stand`].
#[derive(Properties, PartialEq)]
pub struct StandProps {
    /// The fragment of the address that requests the run.
    pub fragment: AttrValue,
    /// On the page for incidents: the incident, instead of a requested run.
    #[prop_or_default]
    pub file: Option<OpenedFile>,
    /// On the page for incidents: opens another file.
    #[prop_or_default]
    pub open: Option<Callback<File>>,
}

/// The run of one address or file. Another one creates a new instance.
#[component]
pub fn Stand(props: &StandProps) -> Html {
    let show = use_memo((), |()| {
        let of_address = || Show::of_address(&props.fragment);
        RefCell::new(props.file.as_ref().map_or_else(of_address, Show::of_incident))
    });
    let redraw = use_force_update();
    use_frames(&show, &redraw);
    let change = {
        let (show, redraw) = (show.clone(), redraw.clone());
        move |change: &dyn Fn(&mut Show)| {
            change(&mut show.borrow_mut());
            redraw.force_update();
        }
    };
    let dispatch = use_memo((), |()| {
        let change = change.clone();
        Dispatch::new(move |command| {
            change(&|show| match command.clone() {
                Command::View(action) => show.player.show(action),
                Command::Act(act) => show.act(act),
                Command::Insist(task) => show.act(Act::Run(task)),
            });
        })
    });
    let command = {
        let (change, show, redraw) = (change.clone(), show.clone(), redraw.clone());
        Callback::from(move |command: PlayerCommand| match command {
            PlayerCommand::CopyLink => copy_link(&show, &redraw),
            command => change(&|show| show.apply(command)),
        })
    };
    use_keys(command.clone());
    let open_trace = {
        let (show, redraw) = (show.clone(), redraw.clone());
        Callback::from(move |file: File| {
            let (show, redraw, name) = (show.clone(), redraw.clone(), file.name());
            browser::read(file, move |read| {
                match read.and_then(|bytes| Show::of_file(&name, &bytes)) {
                    Ok(opened) => *show.borrow_mut() = opened,
                    Err(why) => show.borrow_mut().remark("bad", why),
                }
                redraw.force_update();
            });
        })
    };
    let learn = {
        let change = change.clone();
        Callback::from(move |command: LessonCommand| change(&|show| show.learn(command)))
    };
    let go = Callback::from(|link: Permalink| browser::go_to(&link.write()));

    let shown = show.borrow();
    let player = &shown.player;
    use_address(&shown);
    let state = player.state().seen();
    let spec = player.spec();
    let time = html! {
        <>
            <Transport
                mode={player.mode()}
                speed={player.speed()}
                shown_ms={player.shown_ms()}
                reached_ms={player.reached_ms()}
                ends_ms={player.ends_ms()}
                is_recorded={player.is_recorded()}
                has_link={props.file.is_none()}
                timeline={player.timeline().clone()}
                user_actions={spec
                    .user_actions
                    .iter()
                    .map(|user_action| (user_action.at_ms, act_words(&user_action.act)))
                    .collect::<Vec<_>>()}
                note={shown.note.clone()}
                {command}
            />
            <div class="remarks" role="status" data-testid="remarks">
                if let Some(open) = &props.open {
                    <FileInput label="Open another" accept=".incident" testid="incident-file" open={open.clone()} />
                }
                { for player.comparison().map(compared) }
                { for spec.forked_at_ms.map(forked) }
                { for shown.remarks.iter().map(|remark| html! {
                    <p class={classes!("remark", remark.tone)} data-testid="remark">{words(&remark.text)}</p>
                }) }
            </div>
            if props.open.is_none() {
                <Setup
                    key={format!("{}-{}", spec.course.name(), spec.seed)}
                    spec={spec.clone()}
                    go={go.clone()}
                    open={open_trace}
                />
            }
        </>
    };
    let pace = Pace { factor: player.speed().factor(), stands: player.mode() != Mode::Playing, turn: player.turn() };
    let guide = match &shown.lesson {
        _ if player.is_recorded() => html! { <p class="aside what-if">{WHAT_IF}</p> },
        _ if props.file.is_some() => Html::default(),
        Some(progress) => html! { <LessonCard progress={progress.clone()} afterwards={AFTERWARDS} command={learn} /> },
        None => html! {
            <>
                <Gallery />
                <LessonList choose={go.reform(link_to)} />
            </>
        },
    };
    let page = if props.file.is_some() { PageKind::Incident } else { PageKind::Simulated };
    let mode_switch = html! { <ModeSwitch live={None::<State>} {page} /> };
    html! { <Page {state} dispatch={(*dispatch).clone()} {mode_switch} {time} {guide} {pace} /> }
}

/// Links to runs that are worth watching.
#[component]
fn Gallery() -> Html {
    html! {
        <details class="card lessons" data-testid="gallery" open=true>
            <summary><strong>{"Watch"}</strong><span>{"runs that begin at once"}</span></summary>
            <ol>
                { for GALLERY.iter().map(|exhibit| html! {
                    <li key={exhibit.id}>
                        <a href={exhibit.fragment} data-testid={format!("exhibit-{}", exhibit.id)}>
                            <strong>{exhibit.title}</strong>
                            <span>{exhibit.about}</span>
                        </a>
                    </li>
                }) }
            </ol>
        </details>
    }
}

/// Advances the player at each animation frame, and redraws the page after visible changes.
#[hook]
fn use_frames(show: &Rc<RefCell<Show>>, redraw: &UseForceUpdateHandle) {
    let (show, redraw) = (show.clone(), redraw.clone());
    use_effect_with((), move |()| {
        let drawn_at = Cell::new(0.0);
        let frames = Frames::start(move |elapsed_ms| {
            let began = browser::performance_ms();
            let (before, after) = {
                let mut show = show.borrow_mut();
                let before = (show.player.mode(), show.player.shown_ms());
                let is_seeking = matches!(before.0, Mode::Seeking { .. });
                let work_ms = if is_seeking { SEEKING_WORK_MS } else { WORK_MS };
                show.player.frame(elapsed_ms, &mut || browser::performance_ms() - began < work_ms);
                let after = (show.player.mode(), show.player.shown_ms());
                if before != after {
                    show.look();
                }
                (before, after)
            };
            let is_due = began - drawn_at.get() >= DRAW_EVERY_MS && before != after;
            let has_turned = std::mem::discriminant(&before.0) != std::mem::discriminant(&after.0);
            if is_due || has_turned {
                drawn_at.set(began);
                redraw.force_update();
            }
        });
        move || drop(frames)
    });
}

#[hook]
fn use_keys(command: Callback<PlayerCommand>) {
    let newest = use_mut_ref(|| command.clone());
    *newest.borrow_mut() = command;
    use_effect_with((), move |()| {
        let listener = Listener::on_window("keydown", move |event| {
            let event: KeyboardEvent = event.unchecked_into();
            let focused = event.target().and_then(|target| target.dyn_into::<Element>().ok());
            let is_tab =
                focused.as_ref().is_some_and(|element| element.get_attribute("role").as_deref() == Some("tab"));
            let name = focused.map(|element| element.tag_name()).unwrap_or_default();
            if let Some(command) = PlayerCommand::of_key(&event, &name).filter(|_| !is_tab) {
                event.prevent_default();
                newest.borrow().emit(command);
            }
        });
        move || drop(listener)
    });
}

/// Updates the address: while paused it leads to the displayed instant, otherwise to the start of the run.
#[hook]
fn use_address(show: &Show) {
    let player = &show.player;
    let stands_at = (player.mode() == Mode::Paused).then(|| player.shown_ms());
    let link = Permalink { at_ms: stands_at, ..show.link() };
    use_effect_with(
        (stands_at, link.spec.user_actions.len(), link.topic.clone(), link.selection, link.lesson.clone()),
        move |_| {
            // No address can contain an incident. One that is too long could not be read, so the previous one stays.
            if matches!(link.spec.course, Course::Recorded(_)) {
                return;
            }
            if let Ok(fragment) = link.write_short() {
                browser::write_fragment(&fragment);
            }
        },
    );
}

fn copy_link(show: &Rc<RefCell<Show>>, redraw: &UseForceUpdateHandle) {
    let link = show.borrow().link();
    let fragment = match link.write_short() {
        Ok(fragment) => fragment,
        Err(too_long) => {
            let note = format!("This run does not fit into a link: {too_long}. Large messages take up most of it.");
            show.borrow_mut().note = note;
            return redraw.force_update();
        }
    };
    browser::write_fragment(&fragment);
    let (show, redraw) = (show.clone(), redraw.clone());
    browser::copy(browser::address_with(&fragment), move |copied| {
        let note = if copied { "The link was copied." } else { "The link is in the address bar." };
        show.borrow_mut().note = note.into();
        redraw.force_update();
    });
}
