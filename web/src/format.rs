//! Numbers, units, times and lists as text.

/// Nodes or vertices, separated by commas.
pub fn nodes<T: ToString>(nodes: &[T]) -> String {
    nodes.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}

/// A count with its noun, for nouns with an irregular plural.
pub fn count_of(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A count with its noun; the plural adds an `s`.
pub fn plural(count: u64, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{} {thing}s", grouped(count)) }
}

/// In groups of three digits, separated by narrow no-break spaces.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join("\u{202f}")
}

/// A duration, rounded down to tenths of a second from 1 s on.
pub fn duration(millis: u64) -> String {
    if millis < 1_000 { format!("{millis} ms") } else { seconds(millis / 100 * 100) }
}

/// Whole seconds, or one decimal place.
pub fn seconds(millis: u64) -> String {
    if millis.is_multiple_of(1000) {
        format!("{} s", millis / 1000)
    } else {
        format!("{:.1} s", millis as f64 / 1000.0)
    }
}

/// Seconds with three decimal places.
pub fn exact_seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1_000, millis % 1_000)
}

/// Remaining time for a countdown, rounded up to whole seconds.
pub fn whole_seconds(millis: u64) -> String {
    format!("{} s", millis.div_ceil(1_000))
}

/// A latency: one decimal place below 10 ms, and `under 0.1 ms` instead of zero.
pub fn millis(millis: f64) -> String {
    match millis {
        millis if millis < 0.05 => "under 0.1 ms".to_owned(),
        millis if millis < 9.95 => format!("{millis:.1} ms"),
        millis => format!("{millis:.0} ms"),
    }
}

/// The time of day in UTC, from milliseconds since 1970.
pub fn time_of_day(at_ms: u64) -> String {
    let of_day = at_ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// The date and the time of day in UTC, from milliseconds since 1970: `2026-11-22 20:23:20`.
pub fn date_and_time(at_ms: u64) -> String {
    // Days since 1 March of the year 0, in eras of 400 years: "days to civil", Howard Hinnant.
    let days = at_ms / 86_400_000 + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{date:02} {}", era * 400 + year + next, time_of_day(at_ms))
}

/// Formats an error text of core as a sentence: capitalised, ending with a full stop.
pub fn sentence(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let first: String = chars.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}.", chars.as_str())
}

/// A text as a value in an address: everything but letters, digits and `-._~` is escaped.
pub fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Invalid escapes are kept unchanged.
pub fn unescape(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_duration_is_called_nothing() {
        assert_eq!([0.0, 0.04, 0.06, 24.0].map(millis), ["under 0.1 ms", "under 0.1 ms", "0.1 ms", "24 ms"]);
        assert_eq!([300, 999, 4_050].map(duration), ["300 ms", "999 ms", "4 s"]);
    }

    #[test]
    fn large_numbers_are_grouped() {
        let [small, large] = [987, 1_234_567].map(|count| plural(count, "message"));
        assert_eq!((small.as_str(), large.as_str()), ("987 messages", "1\u{202f}234\u{202f}567 messages"));
    }

    #[test]
    fn the_time_of_day_has_leading_zeros() {
        assert_eq!(time_of_day(1_795_379_000_123), "20:23:20");
        assert_eq!(time_of_day(86_400_000 + 61_000), "00:01:01");
    }

    #[test]
    fn a_date_is_that_of_the_calendar() {
        assert_eq!(date_and_time(0), "1970-01-01 00:00:00");
        assert_eq!(date_and_time(1_795_379_000_123), "2026-11-22 20:23:20");
        assert_eq!(date_and_time(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(date_and_time(4_107_542_399_000), "2100-02-28 23:59:59");
        assert_eq!(date_and_time(4_107_542_400_000), "2100-03-01 00:00:00");
    }
}
