//! The crosshair: which second is under the pointer, where a second is, and which one a key leads to.

/// Seconds of one press of an arrow key with Shift.
const FAR: usize = 10;
/// Seconds of one press of Page Up or Page Down.
const PAGE: usize = 30;

/// The displayed seconds: the last `count` of `span` are known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Span {
    /// Seconds since 1970 of the first known second.
    pub first_s: u64,
    pub count: usize,
    pub span: usize,
}

impl Span {
    /// The index of the second at this share of the chart's width; of the nearest one if that second is not known.
    pub fn second_at(self, share: f64) -> Option<usize> {
        let unknown = self.span - self.count;
        let at = (share.clamp(0.0, 1.0) * self.span as f64) as usize;
        (self.count > 0).then(|| at.saturating_sub(unknown).min(self.count - 1))
    }

    /// The share of the chart's width at which the middle of a second is.
    pub fn share_of(self, at: usize) -> f64 {
        ((self.span - self.count + at) as f64 + 0.5) / self.span as f64
    }

    /// The index of a second; `None` if it is not displayed.
    pub fn index_of(self, at_s: u64) -> Option<usize> {
        usize::try_from(at_s.checked_sub(self.first_s)?).ok().filter(|at| *at < self.count)
    }

    /// The second to which a key leads; `Some(None)` removes the crosshair, `None` is no key of the crosshair. Without
    /// a crosshair, the keys begin at the newest second.
    pub fn after_key(self, at: Option<usize>, key: &str, is_shifted: bool) -> Option<Option<usize>> {
        let last = self.count.checked_sub(1)?;
        let step = if is_shifted { FAR } else { 1 };
        let from = at.unwrap_or(self.count);
        let to = match key {
            "ArrowLeft" | "ArrowDown" => from.saturating_sub(step),
            "ArrowRight" | "ArrowUp" => from + step,
            "PageDown" => from.saturating_sub(PAGE),
            "PageUp" => from + PAGE,
            "Home" => 0,
            "End" => last,
            "Escape" => return at.map(|_| None),
            _ => return None,
        };
        Some(Some(to.min(last)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: Span = Span { first_s: 1_000, count: 60, span: 120 };

    #[test]
    fn a_second_is_found_where_it_is_drawn() {
        for span in [HALF, Span { count: 120, ..HALF }, Span { count: 600, span: 600, ..HALF }] {
            for at in 0..span.count {
                assert_eq!(span.second_at(span.share_of(at)), Some(at));
            }
        }
    }

    #[test]
    fn beyond_the_known_seconds_the_nearest_one_is_found() {
        assert_eq!(
            [-1.0, 0.0, 0.49, 0.501, 1.0, 7.0].map(|share| HALF.second_at(share)),
            [0, 0, 0, 0, 59, 59].map(Some)
        );
        assert_eq!(Span { count: 0, ..HALF }.second_at(0.5), None);
    }

    #[test]
    fn a_second_keeps_its_name_while_the_window_moves_until_it_leaves() {
        let later = |by: u64| Span { first_s: 1_000 + by, count: 120, span: 120 };
        assert_eq!([0, 5, 6].map(|by| later(by).index_of(1_005)), [Some(5), Some(0), None]);
        assert_eq!(later(0).index_of(1_120), None);
    }

    #[test]
    fn keys_lead_through_all_seconds_and_not_beyond() {
        let after = |at, key| HALF.after_key(at, key, false);
        assert_eq!(after(None, "ArrowLeft"), Some(Some(59)), "the newest one first");
        assert_eq!(after(Some(59), "ArrowRight"), Some(Some(59)));
        assert_eq!(after(Some(3), "ArrowLeft"), Some(Some(2)));
        assert_eq!(HALF.after_key(Some(3), "ArrowLeft", true), Some(Some(0)));
        assert_eq!([after(Some(9), "Home"), after(Some(9), "End")], [Some(Some(0)), Some(Some(59))]);
        assert_eq!(after(Some(9), "Escape"), Some(None));
        assert_eq!([after(None, "Escape"), after(Some(9), "x")], [None, None], "other keys keep their meaning");
        assert_eq!(Span { count: 0, ..HALF }.after_key(None, "ArrowLeft", false), None);
    }
}
