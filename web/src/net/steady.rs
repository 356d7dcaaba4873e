//! The page's clock: the wall clock, made monotonic.

/// Milliseconds since 1970 that never go back. If the wall clock is set back, time continues from its last value.
#[derive(Clone, Copy, Debug, Default)]
pub struct SteadyClock {
    last_ms: f64,
    /// The monotonic clock at the last reading.
    measured_ms: f64,
}

impl SteadyClock {
    /// `running_ms` is a monotonic clock. It may stop while the machine sleeps; the wall clock is then ahead.
    pub fn read(&mut self, wall_ms: f64, running_ms: f64) -> u64 {
        let passed_ms = (running_ms - self.measured_ms).max(0.0);
        self.last_ms = wall_ms.max(self.last_ms + passed_ms);
        self.measured_ms = running_ms;
        self.last_ms as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_at_its_pace_where_the_wall_clock_is_set_back() {
        const TODAY: f64 = 1_795_379_000_000.0;
        let mut clock = SteadyClock::default();
        let began = clock.read(TODAY, 50.0);
        assert_eq!(began, TODAY as u64);
        assert_eq!(clock.read(TODAY + 1_000.0, 1_050.0) - began, 1_000);
        // The wall clock is set back by an hour.
        assert_eq!(clock.read(TODAY + 1_500.0 - 3_600_000.0, 1_550.0) - began, 1_500);
        assert_eq!(clock.read(TODAY + 2_500.0 - 3_600_000.0, 2_550.0) - began, 2_500);
        // The wall clock is correct again; then the machine sleeps for an hour.
        assert_eq!(clock.read(TODAY + 3_000.0, 3_050.0) - began, 3_000);
        assert_eq!(clock.read(TODAY + 3_603_000.0, 3_060.0) - began, 3_603_000);
    }
}
