//! Time as an argument: core reads no clock.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A point on the node's monotonic clock, in microseconds since an arbitrary start.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Instant(pub u64);

/// A point in UTC, in microseconds since 1970. Used for display, for the times in a group's log (the times of messages,
/// and the expiry of unused names) and for the first version of a node's link state. No timeout depends on it. Text
/// formats write it as RFC 3339, binary formats as the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Timestamp(pub u64);

/// The readings of both clocks at the time of an input.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Now {
    /// For timeouts and deadlines.
    pub monotonic: Instant,
    /// For the times in logs and events.
    pub wall: Timestamp,
}

impl Instant {
    /// The time since `earlier`; zero if `earlier` is later than `self`.
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_add(duration.as_micros() as u64))
    }
}

impl Sub<Duration> for Instant {
    type Output = Instant;

    fn sub(self, duration: Duration) -> Instant {
        Instant(self.0.saturating_sub(duration.as_micros() as u64))
    }
}

impl Timestamp {
    /// The last time that RFC 3339 can express, at the end of the year 9999. A later time comes from a wrong clock and
    /// is printed as this one.
    const LAST_WITH_TEXT: Timestamp = Timestamp(253_402_300_799_999_999);

    fn system_time(self) -> std::time::SystemTime {
        std::time::SystemTime::UNIX_EPOCH + Duration::from_micros(self.0)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_micros(Self::LAST_WITH_TEXT.min(*self).system_time()).fmt(f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u64::deserialize(deserializer).map(Timestamp);
        }
        let text = String::deserialize(deserializer)?;
        let time = humantime::parse_rfc3339(&text).map_err(de::Error::custom)?;
        let since_epoch = time.duration_since(std::time::SystemTime::UNIX_EPOCH).map_err(de::Error::custom)?;
        Ok(Timestamp(since_epoch.as_micros() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_rfc_3339_and_machines_read_microseconds() {
        let time = Timestamp(1_795_379_000_123_456);
        let text = serde_json::to_string(&time).unwrap();
        assert_eq!(text, "\"2026-11-22T20:23:20.123456Z\"");
        assert_eq!(serde_json::from_str::<Timestamp>(&text).unwrap(), time);
        assert_eq!(postcard::to_allocvec(&time).unwrap(), postcard::to_allocvec(&1_795_379_000_123_456u64).unwrap());
    }

    #[test]
    fn a_clock_gone_mad_still_prints() {
        assert!(serde_json::to_string(&Timestamp(u64::MAX)).unwrap().contains("9999-12-31"));
        assert_eq!(Timestamp(u64::MAX).to_string(), "9999-12-31T23:59:59.999999Z");
    }
}
