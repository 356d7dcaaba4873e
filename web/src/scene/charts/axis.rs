//! The axes: round clock times below all charts, and the scale of a chart's values.

use super::{HEIGHT, Window};
use crate::format::{grouped, millis, seconds, time_of_day};

/// Distances of ticks, in seconds.
const STEPS_S: [u64; 9] = [5, 10, 15, 30, 60, 120, 300, 600, 1_200];
/// Widths of a label with and without seconds, and the space beside it, in pixels.
const LONG_PX: f64 = 72.0;
const SHORT_PX: f64 = 50.0;
/// The lowest end of a latency scale, in microseconds.
const LEAST_US: f64 = 100.0;

/// The names of seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Clock {
    /// The time of day, this far east of UTC.
    Local { east_s: i64 },
    /// The seconds of a simulation that began `epoch_s` after 1970.
    Virtual { epoch_s: u64 },
}

/// A named instant of the time axis.
#[derive(Clone, PartialEq, Debug)]
pub struct TimeTick {
    /// From 0 to 1, from left to right.
    pub share: f64,
    pub label: String,
}

/// A value's unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unit {
    PerSecond,
    Microseconds,
    Messages,
}

/// The scale of a chart's values, from the lower to the upper end. Latencies differ by orders of magnitude, so their
/// scale is logarithmic: a long outage leaves the usual values legible.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale {
    unit: Unit,
    bottom: f64,
    top: f64,
}

/// A labelled value of the scale.
#[derive(Clone, PartialEq, Debug)]
pub struct ValueTick {
    /// In the drawing's units, from the top.
    pub y: f64,
    pub label: String,
}

impl Clock {
    /// The time with seconds.
    pub fn name(self, at_s: u64) -> String {
        match self {
            Clock::Local { .. } => time_of_day(self.shown_s(at_s) * 1_000),
            Clock::Virtual { .. } => format!("{} s", self.shown_s(at_s)),
        }
    }

    /// What the names are.
    pub fn words(self) -> String {
        match self {
            Clock::Virtual { .. } => "virtual time".to_owned(),
            Clock::Local { east_s: 0 } => "UTC".to_owned(),
            Clock::Local { east_s } => {
                let minutes = east_s.abs() / 60;
                let sign = if east_s < 0 { '−' } else { '+' };
                format!("local time, UTC{sign}{}:{:02}", minutes / 60, minutes % 60)
            }
        }
    }

    fn shown_s(self, at_s: u64) -> u64 {
        match self {
            Clock::Local { east_s } => at_s.saturating_add_signed(east_s),
            Clock::Virtual { epoch_s } => at_s.saturating_sub(epoch_s),
        }
    }

    /// The first second that has a name.
    fn begins_s(self) -> u64 {
        match self {
            Clock::Local { .. } => 0,
            Clock::Virtual { epoch_s } => epoch_s,
        }
    }

    /// The name of a tick; full minutes have no seconds.
    fn tick_name(self, at_s: u64, step_s: u64) -> String {
        let mut name = self.name(at_s);
        if self.is_short(step_s) && matches!(self, Clock::Local { .. }) {
            name.truncate("00:00".len());
        }
        name
    }

    fn is_short(self, step_s: u64) -> bool {
        step_s.is_multiple_of(60) || matches!(self, Clock::Virtual { .. })
    }
}

impl Window<'_> {
    /// The ticks of a time axis of this width, as many as fit. `room_px`: the space for labels beside the axis.
    pub(super) fn time_ticks(&self, clock: Clock, width_px: f64, room_px: f64) -> Vec<TimeTick> {
        let Some(end_s) = self.seconds.last().map(|last| last.at_s + 1) else { return Vec::new() };
        let span = self.span as u64;
        let label_px = |step: u64| if clock.is_short(step) { SHORT_PX } else { LONG_PX };
        let fits = |step: &u64| (span as f64 / *step as f64) * label_px(*step) <= width_px;
        let step = STEPS_S.into_iter().find(fits).unwrap_or(STEPS_S[STEPS_S.len() - 1]);
        let first_s = end_s.saturating_sub(span).max(clock.begins_s());
        let instants = (first_s..=end_s).filter(|at_s| clock.shown_s(*at_s).is_multiple_of(step));
        let tick = |at_s: u64| {
            let share = 1.0 - (end_s - at_s) as f64 / span as f64;
            let is_whole = share.min(1.0 - share) * width_px + room_px >= label_px(step) / 2.0;
            TimeTick { share, label: if is_whole { clock.tick_name(at_s, step) } else { String::new() } }
        };
        instants.map(tick).collect()
    }
}

impl Unit {
    /// A value with its unit.
    pub fn words(self, value: f64) -> String {
        match self {
            Unit::PerSecond if value.fract() > 0.0 => format!("{value:.1} /s"),
            Unit::PerSecond => format!("{} /s", grouped(value as u64)),
            Unit::Microseconds if value >= 999_500.0 => seconds((value / 100_000.0).round() as u64 * 100),
            Unit::Microseconds => millis(value / 1_000.0),
            Unit::Messages => grouped(value as u64),
        }
    }
}

impl Scale {
    /// From zero to a round number that is not below `most`.
    pub fn from_zero(unit: Unit, most: u32) -> Scale {
        let least = if unit == Unit::Messages { 10.0 } else { 2.0 };
        Scale { unit, bottom: 0.0, top: round_up(f64::from(most).max(least)) }
    }

    /// Whole decades that contain both latencies, in microseconds.
    pub fn of_latencies(least: u32, most: u32) -> Scale {
        let bottom = 10f64.powf(f64::from(least).max(LEAST_US).log10().floor());
        let top = 10f64.powf(f64::from(most).max(bottom * 10.0).log10().ceil());
        Scale { unit: Unit::Microseconds, bottom, top }
    }

    /// In the drawing's units, from the top. Values beyond an end are drawn at it.
    pub fn y(self, value: f64) -> f64 {
        let share = match self.bottom > 0.0 {
            true => (value.max(self.bottom) / self.bottom).log10() / (self.top / self.bottom).log10(),
            false => value / self.top,
        };
        HEIGHT - 1.5 - share.clamp(0.0, 1.0) * (HEIGHT - 4.0)
    }

    /// The upper end, and at least one value below it. `most_decades`: if a scale has more, not each is labelled.
    pub fn ticks(self, most_decades: usize) -> Vec<ValueTick> {
        let mut values = Vec::new();
        if self.bottom > 0.0 {
            let decades = (self.top / self.bottom).log10().round() as usize;
            let step = decades.div_ceil(most_decades);
            values.extend((0..=decades).step_by(step).map(|at| self.top / 10f64.powi(at as i32)));
            if decades == 1 {
                values.push(self.bottom * 3.0);
            }
        } else {
            values.extend([self.top, self.top / 2.0]);
        }
        let label = |value| self.unit.words(value).replace(".0 ", " ");
        values.into_iter().map(|value| ValueTick { y: self.y(value), label: label(value) }).collect()
    }
}

/// The next value of the form 1, 2 or 5 times a power of ten.
fn round_up(value: f64) -> f64 {
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|step| step * power).into_iter().find(|step| *step >= value * 0.999_999).unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{history, window};
    use super::*;

    const UTC: Clock = Clock::Local { east_s: 0 };

    #[test]
    fn ticks_are_at_round_times_of_the_clock_wherever_the_window_begins() {
        let labels = |end_s: u64, clock, width_px| -> Vec<String> {
            let history = history(end_s);
            window(&history, 120).time_ticks(clock, width_px, 40.0).into_iter().map(|tick| tick.label).collect()
        };
        assert_eq!(labels(137, UTC, 320.0), ["00:00:30", "00:01:00", "00:01:30", "00:02:00"]);
        assert_eq!(labels(137, UTC, 120.0), ["00:01", "00:02"]);
        assert_eq!(labels(137, Clock::Local { east_s: 19_800 }, 120.0), ["05:31", "05:32"]);
        assert_eq!(labels(137, Clock::Virtual { epoch_s: 7 }, 320.0), ["30 s", "60 s", "90 s", "120 s"]);
        assert_eq!(labels(0, UTC, 320.0), [""; 0]);
    }

    #[test]
    fn a_tick_stands_where_its_second_begins() {
        let history = history(137);
        let ticks = window(&history, 120).time_ticks(UTC, 120.0, 40.0);
        assert!((ticks[0].share - (60.0 - 17.0) / 120.0).abs() < 1e-9, "{ticks:?}");
    }

    #[test]
    fn a_label_that_would_leave_the_picture_is_left_out() {
        let history = history(121);
        let labels = |room_px| {
            let ticks = window(&history, 120).time_ticks(UTC, 120.0, room_px);
            ticks.into_iter().map(|tick| tick.label).collect::<Vec<_>>()
        };
        assert_eq!(
            (labels(30.0), labels(10.0)),
            (vec!["00:01".to_owned(), "00:02".to_owned()], vec!["00:01".to_owned(), String::new()])
        );
    }

    #[test]
    fn a_clock_says_how_far_it_is_from_utc() {
        let words = |east_s| Clock::Local { east_s }.words();
        assert_eq!([0, 19_800, -3_600].map(words), ["UTC", "local time, UTC+5:30", "local time, UTC−1:00"]);
    }

    #[test]
    fn the_scale_ends_at_a_round_number_above_all() {
        for (value, top) in [(1.0, 1.0), (3.0, 5.0), (51.0, 100.0), (100.0, 100.0), (1_999.0, 2_000.0)] {
            assert_eq!(round_up(value), top, "{value}");
        }
    }

    #[test]
    fn the_top_and_the_middle_are_labelled_with_their_unit() {
        let labels = |scale: Scale| -> Vec<String> { scale.ticks(4).into_iter().map(|tick| tick.label).collect() };
        assert_eq!(labels(Scale::from_zero(Unit::PerSecond, 93)), ["100 /s", "50 /s"]);
        assert_eq!(labels(Scale::from_zero(Unit::PerSecond, 4)), ["5 /s", "2.5 /s"]);
        assert_eq!(labels(Scale::from_zero(Unit::Messages, 0)), ["10", "5"]);
        assert_eq!(labels(Scale::of_latencies(1_100, 8_000)), ["10 ms", "1 ms", "3 ms"]);
        assert_eq!(labels(Scale::of_latencies(700, 1_200_000)), ["10 s", "100 ms", "1 ms"]);
    }

    #[test]
    fn equal_ratios_of_latencies_are_equal_distances() {
        let scale = Scale::of_latencies(1_000, 1_000_000);
        let [a, b, c] = [1_000.0, 10_000.0, 100_000.0].map(|value| scale.y(value));
        assert!((a - b - (b - c)).abs() < 1e-9 && a > b);
        assert_eq!(scale.y(0.0), scale.y(1_000.0), "what is below the scale is drawn at its end");
    }
}
