//! Performs many runs on many threads, with a progress bar.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, Once, mpsc};
use std::time::{Duration, Instant};

use cubecast_core::cube::Dimension;
use cubecast_sim::check::{Findings, Violation};
use cubecast_sim::{Reduction, Report, Scenario, Totals, run};
use indicatif::{ProgressBar, ProgressStyle};

/// Failures that are kept. Further ones are only counted.
const MAX_FAILURES: usize = 100;

pub(super) struct Farm {
    /// The number of threads.
    pub threads: usize,
    /// Whether to continue after a failure.
    pub keep_going: bool,
    /// The time after which no further run is started.
    pub budget: Option<Duration>,
}

/// One run to perform.
#[derive(Clone, Copy)]
pub(super) struct Job<'a> {
    scenario: &'a Scenario,
    seed: u64,
}

impl<'a> Job<'a> {
    /// A run of this scenario with this seed.
    pub fn new(scenario: &'a Scenario, seed: u64) -> Job<'a> {
        Job { scenario, seed }
    }
}

/// The results of all runs.
#[derive(Default)]
pub(super) struct Harvest {
    /// Sums over all runs.
    pub totals: Totals,
    /// The number of failed runs.
    pub failed_runs: u64,
    /// The first failed runs.
    pub failures: Vec<Report>,
    /// The duration of all runs.
    pub took: Duration,
    /// The number of threads.
    pub threads: usize,
}

impl Farm {
    /// Performs all jobs. `expected`: the number of jobs, if it is known.
    pub fn run<'a>(&self, jobs: impl Iterator<Item = Job<'a>> + Send, expected: Option<u64>) -> Harvest {
        let began = Instant::now();
        let jobs = Mutex::new(jobs);
        let stop = AtomicBool::new(false);
        let (reports, received) = mpsc::sync_channel(1024);
        let mut harvest = Harvest { threads: self.threads, ..Harvest::default() };
        let bar = progress_bar(expected, self.budget);
        std::thread::scope(|scope| {
            for _ in 0..self.threads {
                let (reports, jobs, stop) = (reports.clone(), &jobs, &stop);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) && self.budget.is_none_or(|budget| began.elapsed() < budget) {
                        let job = jobs.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).next();
                        let Some(Job { scenario, seed }) = job else { return };
                        if reports.send(run_caught(scenario, seed, &Reduction::default())).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(reports);
            for report in received {
                harvest.add(report);
                show(&bar, &harvest, began.elapsed(), self.budget);
                if harvest.failed_runs > 0 && !self.keep_going {
                    stop.store(true, Ordering::Relaxed);
                }
            }
        });
        bar.finish_and_clear();
        harvest.took = began.elapsed();
        harvest
    }
}

impl Harvest {
    fn add(&mut self, report: Report) {
        self.totals.add(&report.totals);
        if !report.is_clean() {
            self.failed_runs += 1;
            if self.failures.len() < MAX_FAILURES {
                self.failures.push(report);
            }
        }
    }

    /// Runs per second.
    pub fn runs_a_second(&self) -> f64 {
        self.totals.runs as f64 / self.took.as_secs_f64().max(1e-9)
    }
}

thread_local! {
    /// The message and the place of the last panic on this thread.
    static PANIC: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Performs a run. A panic becomes a violation.
pub(super) fn run_caught(scenario: &Scenario, seed: u64, reduction: &Reduction) -> Report {
    keep_panics_quiet();
    PANIC.with_borrow_mut(Option::take);
    catch_unwind(AssertUnwindSafe(|| run(scenario, seed, reduction))).unwrap_or_else(|_| {
        let what = PANIC.with_borrow_mut(Option::take).unwrap_or_default();
        panicked(scenario, seed, what)
    })
}

fn panicked(scenario: &Scenario, seed: u64, what: String) -> Report {
    let bits = scenario.dimensions[(seed % scenario.dimensions.len() as u64) as usize];
    let violations = vec![Violation { checker: "panic".into(), what }];
    Report {
        scenario: scenario.name.clone(),
        seed,
        dimension: Dimension::new(bits).expect("the scenario was checked"),
        totals: Totals { runs: 1, ..Totals::default() },
        findings: Findings { violations, ..Findings::default() },
        trace: 0,
        story: Vec::new(),
    }
}

/// Panics of runs appear in the report and are not printed when they occur.
fn keep_panics_quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            PANIC.with_borrow_mut(|panic| *panic = Some(info.to_string().replace('\n', " ")));
        }));
    });
}

fn progress_bar(expected: Option<u64>, budget: Option<Duration>) -> ProgressBar {
    let length = expected.or(budget.map(|budget| budget.as_secs().max(1)));
    let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let style = ProgressStyle::with_template("{bar:30} {percent:>3} %  {msg}").expect("the template is valid");
    bar.with_style(style.progress_chars("━━┈"))
}

fn show(bar: &ProgressBar, harvest: &Harvest, took: Duration, budget: Option<Duration>) {
    let done = budget.map_or(harvest.totals.runs, |_| took.as_secs());
    bar.set_position(done);
    let rate = harvest.totals.runs as f64 / took.as_secs_f64().max(1e-9);
    bar.set_message(format!(
        "{} runs, {rate:.0}/s, {:.1} virtual hours, {} acknowledged, {} failed",
        harvest.totals.runs,
        hours(harvest.totals.virtual_us),
        harvest.totals.acknowledged,
        harvest.failed_runs
    ));
}

pub(super) fn hours(us: u64) -> f64 {
    us as f64 / 3.6e9
}
