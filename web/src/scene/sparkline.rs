//! A sparkline: the last minute of a topic as a small line. Pure.

/// Width in the drawing's units: one for each second.
pub const WIDTH: usize = 60;
/// Height in the drawing's units.
pub const HEIGHT: usize = 16;

/// An SVG path of counts per second, the newest at the right end. The scale fits the largest. Unknown seconds interrupt
/// the line.
pub fn path(counts: &[Option<u32>]) -> String {
    let most = counts.iter().flatten().max().copied().unwrap_or(0).max(1);
    let (mut path, mut pen_is_down) = (String::new(), false);
    for (at, count) in counts.iter().enumerate() {
        let Some(count) = count else {
            pen_is_down = false;
            continue;
        };
        let x = WIDTH.saturating_sub(counts.len()) + at;
        // Whole units are enough at this size, and short.
        let y = HEIGHT - 1 - (*count as usize * (HEIGHT - 2)).div_ceil(most as usize);
        path += &format!("{}{x} {y}", if pen_is_down { "L" } else { "M" });
        pen_is_down = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_second_is_at_the_right_and_the_largest_at_the_top() {
        assert_eq!(path(&[Some(0), Some(4), Some(1)]), "M57 15L58 1L59 11");
    }

    #[test]
    fn a_few_messages_are_seen_beside_many() {
        assert_eq!(path(&[Some(1), Some(100_000)]), "M58 14L59 1");
    }

    #[test]
    fn what_is_unknown_is_not_drawn_as_nothing() {
        assert_eq!(path(&[None, Some(0), None, Some(0)]), "M57 15M59 15");
        assert_eq!(path(&[None; 3]), "");
    }
}
