//! Playback controls: play, pause, step, slow motion, rewind, jump, and fork by changing something.
//!
//! Going back recomputes the run from its spec; meanwhile the film shows snapshots of the past. Work is divided into
//! ticks and runs while the caller has time, so the page stays responsive. The number of ticks per frame affects only
//! the waiting time, never the result.

use super::film::Film;
use super::session::Session;
use super::spec::{LONGEST_MS, MAX_USER_ACTIONS, Spec, UserAction};
use super::timeline::Timeline;
use super::world::ReplayedSoFar;
use crate::model::shared::Shared;
use crate::model::{Act, Action, Moment, State, ViewAction};

/// Factor of rewinding, relative to real time.
const REWIND_SPEED: f64 = 4.0;
/// Virtual milliseconds after which a step ends if nothing happens.
const LONGEST_STEP_MS: u64 = 100;
/// Limit of time per frame, so that a page that was hidden continues where it stopped.
const LONGEST_FRAME_MS: f64 = 250.0;

/// A run and the position of the user in it.
pub struct Player {
    spec: Spec,
    session: Session,
    /// Index of the first user action of the spec that the session has not executed.
    next_user_action: usize,
    mode: Mode,
    speed: Speed,
    /// Number of the session's faults that are already on the timeline.
    faults_noted: usize,
    /// Virtual time that is due; after a frame, less than one tick.
    due_ms: f64,
    timeline: Shared<Timeline>,
    film: Film,
    /// Increases on every change other than the normal passing of time.
    turn: u64,
}

/// The current kind of playback.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Mode {
    Paused,
    Playing,
    /// The run is being computed up to this instant.
    Seeking {
        to_ms: u64,
        then_play: bool,
    },
    /// Time runs backwards in snapshots; `at_ms` is the current position.
    Rewinding {
        at_ms: f64,
    },
    /// The user drags the time slider and sees snapshots.
    Scrubbing {
        at_ms: u64,
    },
}

/// Speed of virtual time relative to real time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Speed {
    Hundredth,
    Tenth,
    Quarter,
    #[default]
    Real,
    Double,
    Fourfold,
}

impl Speed {
    /// From slow to fast.
    pub const ALL: [Speed; 6] =
        [Speed::Hundredth, Speed::Tenth, Speed::Quarter, Speed::Real, Speed::Double, Speed::Fourfold];

    /// Virtual milliseconds per real millisecond.
    pub fn factor(self) -> f64 {
        match self {
            Speed::Hundredth => 0.01,
            Speed::Tenth => 0.1,
            Speed::Quarter => 0.25,
            Speed::Real => 1.0,
            Speed::Double => 2.0,
            Speed::Fourfold => 4.0,
        }
    }

    /// The speed as a label.
    pub fn words(self) -> &'static str {
        match self {
            Speed::Hundredth => "1/100",
            Speed::Tenth => "1/10",
            Speed::Quarter => "1/4",
            Speed::Real => "1×",
            Speed::Double => "2×",
            Speed::Fourfold => "4×",
        }
    }
}

/// Why an action was rejected.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("A run holds up to {MAX_USER_ACTIONS} of your actions. Start another run.")]
    TooMany,
    #[error("A run ends after ten virtual minutes. Rewind, or start another run.")]
    Over,
}

impl Player {
    /// Paused at the start of the run.
    pub fn new(spec: Spec) -> Player {
        let session = Session::new(&spec);
        let timeline = Shared::from(Timeline::starting(session.began_ms()));
        let mut player = Player {
            spec,
            session,
            next_user_action: 0,
            faults_noted: 0,
            mode: Mode::Paused,
            speed: Speed::default(),
            due_ms: 0.0,
            timeline,
            film: Film::default(),
            turn: 0,
        };
        player.arrive();
        player
    }

    // The visible state.

    /// The run's spec, with all user actions so far.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// The current kind of playback.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The chosen speed.
    pub fn speed(&self) -> Speed {
        self.speed
    }

    /// The summary of the run's past.
    pub fn timeline(&self) -> &Shared<Timeline> {
        &self.timeline
    }

    /// A number that changes on every change other than the normal passing of time.
    pub fn turn(&self) -> u64 {
        self.turn
    }

    /// The start of the run, milliseconds on the cluster's clock.
    pub fn began_ms(&self) -> u64 {
        self.session.began_ms()
    }

    /// The end of the scenario, milliseconds on the cluster's clock; `None` if it has none or has ended.
    pub fn ends_ms(&self) -> Option<u64> {
        self.session.ends_ms()
    }

    /// The displayed instant, milliseconds on the cluster's clock.
    pub fn shown_ms(&self) -> u64 {
        match self.mode {
            Mode::Paused | Mode::Playing => self.session.now_ms(),
            Mode::Seeking { to_ms, .. } => to_ms,
            Mode::Rewinding { at_ms } => at_ms as u64,
            Mode::Scrubbing { at_ms } => at_ms,
        }
    }

    /// The state to display: of the run, or of a snapshot while the run is being recomputed.
    pub fn state(&self) -> State {
        let (shown_ms, now_ms, state) = (self.shown_ms(), self.session.now_ms(), self.session.state());
        let is_newer = |at_ms: u64| at_ms <= shown_ms && !(at_ms..=shown_ms).contains(&now_ms);
        match self.mode {
            Mode::Paused | Mode::Playing => state.clone(),
            Mode::Seeking { .. } | Mode::Rewinding { .. } | Mode::Scrubbing { .. } => match self.film.at(shown_ms) {
                Some((at_ms, picture)) if is_newer(*at_ms) => {
                    let picture = State { closer: state.closer.clone(), ..picture.clone() };
                    let now_ms = picture.now_ms;
                    picture.after(Moment { now_ms, actions: looks_of(state).into_iter().map(Action::View).collect() })
                }
                _ => state.clone(),
            },
        }
    }

    /// Whether the displayed instant is one of an incident, and not of a simulation.
    pub fn is_recorded(&self) -> bool {
        self.session.is_recorded()
    }

    /// For an incident: how the replay so far compares with the recording.
    pub fn comparison(&self) -> Option<ReplayedSoFar> {
        self.session.comparison()
    }

    /// A hash of everything that happened in the run so far.
    pub fn trace(&self) -> u64 {
        self.session.trace()
    }

    /// How far the run has been computed. Beyond the displayed instant this is the future that follows if nothing is
    /// changed.
    pub fn reached_ms(&self) -> u64 {
        self.timeline.reached_ms().max(self.session.now_ms())
    }

    // Controls.

    /// Starts playing, from the displayed instant or once a search is done.
    pub fn play(&mut self) {
        match self.mode {
            Mode::Paused => self.set_mode(Mode::Playing),
            Mode::Seeking { to_ms, .. } => self.set_mode(Mode::Seeking { to_ms, then_play: true }),
            Mode::Rewinding { at_ms } => self.seek_and(at_ms as u64, true),
            Mode::Scrubbing { at_ms } => self.seek_and(at_ms, true),
            Mode::Playing => {}
        }
    }

    /// Stops at the displayed instant.
    pub fn pause(&mut self) {
        match self.mode {
            Mode::Playing => self.set_mode(Mode::Paused),
            Mode::Seeking { to_ms, .. } => self.set_mode(Mode::Seeking { to_ms, then_play: false }),
            Mode::Rewinding { at_ms } => self.seek_and(at_ms as u64, false),
            Mode::Scrubbing { at_ms } => self.seek_and(at_ms, false),
            Mode::Paused => {}
        }
    }

    /// Runs time backwards.
    pub fn rewind(&mut self) {
        self.set_mode(Mode::Rewinding { at_ms: self.shown_ms() as f64 });
    }

    /// Shows snapshots of this instant until [`Player::play`], [`Player::pause`] or a search.
    pub fn scrub(&mut self, at_ms: u64) {
        self.set_mode(Mode::Scrubbing { at_ms: at_ms.clamp(self.began_ms(), self.reached_ms()) });
    }

    /// Advances until something visible happens, at most 100 virtual milliseconds, and pauses.
    pub fn step_on(&mut self) {
        self.settle();
        let sight = |state: &State| (state.traffic.seen, state.feed.entries.front().map(|entry| entry.number));
        let before = sight(self.session.state());
        for _ in 0..LONGEST_STEP_MS {
            if self.session.now_ms() >= self.longest_ms() {
                break;
            }
            self.tick();
            if sight(self.session.state()) != before {
                break;
            }
        }
        self.set_mode(Mode::Paused);
    }

    /// Moves to any instant and pauses.
    pub fn seek(&mut self, to_ms: u64) {
        self.seek_and(to_ms, false);
    }

    /// Moves forward or back by this many milliseconds and pauses.
    pub fn step(&mut self, by_ms: i64) {
        self.seek(self.shown_ms().saturating_add_signed(by_ms));
    }

    /// Changes the speed.
    pub fn set_speed(&mut self, speed: Speed) {
        self.speed = speed;
        self.turn += 1;
    }

    /// Discards the future after the displayed instant. An incident becomes a simulation of the recorded nodes.
    pub fn fork(&mut self) {
        self.settle();
        let now_ms = self.session.now_ms();
        self.spec = self.spec.until(now_ms);
        if self.session.is_recorded() {
            self.spec.forked_at_ms = Some(now_ms);
            self.session.fork();
        }
        self.timeline.change().cut(now_ms);
        self.film.cut(now_ms);
    }

    /// Executes a user action at the displayed instant; discards the future. Errors: the run is full or over.
    pub fn act(&mut self, act: Act) -> Result<(), Refused> {
        self.act_later(vec![(0, act)])
    }

    /// Executes user actions with delays in milliseconds after the displayed instant, which must be ascending; discards
    /// the future. Errors: the run is full or over.
    pub fn act_later(&mut self, acts: Vec<(u64, Act)>) -> Result<(), Refused> {
        self.fork();
        if self.spec.user_actions.len() + acts.len() > MAX_USER_ACTIONS {
            return Err(Refused::TooMany);
        }
        let now_ms = self.session.now_ms();
        if now_ms >= LONGEST_MS {
            return Err(Refused::Over);
        }
        self.spec
            .user_actions
            .extend(acts.into_iter().map(|(after_ms, act)| UserAction { at_ms: now_ms + after_ms, act }));
        self.arrive();
        Ok(())
    }

    /// Applies a change of view, which does not affect the run.
    pub fn show(&mut self, action: ViewAction) {
        self.session.show(vec![action]);
    }

    // Time.

    /// Advances by `elapsed_ms` of real time. `has_time` returns whether the caller allows more work now.
    pub fn frame(&mut self, elapsed_ms: f64, has_time: &mut dyn FnMut() -> bool) {
        let elapsed_ms = elapsed_ms.clamp(0.0, LONGEST_FRAME_MS);
        match self.mode {
            Mode::Paused | Mode::Scrubbing { .. } => {}
            Mode::Playing => self.go_on(elapsed_ms * self.speed.factor(), has_time),
            Mode::Rewinding { at_ms } => {
                let at_ms = at_ms - elapsed_ms * REWIND_SPEED;
                let began_ms = self.began_ms();
                if at_ms <= began_ms as f64 {
                    return self.seek(began_ms);
                }
                self.mode = Mode::Rewinding { at_ms };
            }
            Mode::Seeking { to_ms, then_play } => self.go_towards(to_ms, then_play, has_time),
        }
    }

    /// Completes a pending search, however long it takes.
    pub fn settle(&mut self) {
        if matches!(self.mode, Mode::Rewinding { .. } | Mode::Scrubbing { .. }) {
            self.pause();
        }
        while let Mode::Seeking { to_ms, then_play } = self.mode {
            self.go_towards(to_ms, then_play, &mut || true);
        }
    }

    fn go_on(&mut self, virtual_ms: f64, has_time: &mut dyn FnMut() -> bool) {
        self.due_ms += virtual_ms;
        while self.due_ms >= 1.0 {
            if self.session.now_ms() >= self.longest_ms() {
                return self.set_mode(Mode::Paused);
            }
            if !has_time() {
                // A slow machine plays more slowly.
                self.due_ms = 0.0;
                return;
            }
            self.due_ms -= 1.0;
            self.tick();
        }
    }

    /// Where time stops: nothing is known after the end of an incident.
    fn longest_ms(&self) -> u64 {
        let ends_ms = self.session.ends_ms().filter(|_| self.session.is_recorded());
        ends_ms.map_or(LONGEST_MS, |ends_ms| ends_ms.min(LONGEST_MS))
    }

    fn seek_and(&mut self, to_ms: u64, then_play: bool) {
        let to_ms = to_ms.clamp(self.began_ms(), LONGEST_MS);
        self.set_mode(Mode::Seeking { to_ms, then_play });
    }

    fn go_towards(&mut self, to_ms: u64, then_play: bool, has_time: &mut dyn FnMut() -> bool) {
        if to_ms < self.session.now_ms() {
            self.begin_anew();
        }
        while self.session.now_ms() < to_ms {
            if !has_time() {
                return;
            }
            self.tick();
        }
        self.set_mode(if then_play { Mode::Playing } else { Mode::Paused });
    }

    fn begin_anew(&mut self) {
        let before = self.session.state().clone();
        self.session = Session::new(&self.spec);
        self.next_user_action = 0;
        self.faults_noted = 0;
        self.session.show(looks_of(&before));
        self.arrive();
    }

    fn tick(&mut self) {
        self.session.tick();
        self.arrive();
    }

    /// Executes the user actions of the current instant, and updates timeline and film.
    fn arrive(&mut self) {
        let now_ms = self.session.now_ms();
        if self.session.is_recorded() && self.spec.forked_at_ms.is_some_and(|forked_at_ms| forked_at_ms <= now_ms) {
            self.session.fork();
        }
        while let Some(user_action) =
            self.spec.user_actions.get(self.next_user_action).filter(|user_action| user_action.at_ms <= now_ms)
        {
            self.session.act(&user_action.act);
            self.next_user_action += 1;
        }
        let session = &self.session;
        if self.timeline.wants(now_ms) {
            self.timeline.change().note(session.look());
        }
        self.film.note(now_ms, session.state());
        for (at_ms, what) in session.faults().skip(self.faults_noted) {
            self.timeline.change().note_fault(at_ms, what.to_owned());
            self.faults_noted += 1;
        }
    }

    fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
        self.due_ms = 0.0;
        self.turn += 1;
    }
}

/// The user's view settings, which are not part of the run.
fn looks_of(state: &State) -> Vec<ViewAction> {
    vec![
        ViewAction::ShowBackground(state.show_background),
        ViewAction::ChooseLayout(state.layout),
        ViewAction::ChooseTopic(state.topic_text.clone()),
        ViewAction::NamePublisher(state.names.publisher.clone()),
        ViewAction::NameSubscriber(state.names.subscriber.clone()),
        ViewAction::Select(state.selection),
        ViewAction::ChooseTab(state.tab),
        ViewAction::ChooseCloserTab(state.closer.tab),
    ]
}
