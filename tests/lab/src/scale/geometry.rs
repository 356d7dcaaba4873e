//! Maps figures to points of a panel. Pure functions.

/// One axis: maps figures from `least` to `most` onto points from `begins` to `ends`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Axis {
    /// The smallest figure.
    pub least: f64,
    /// The largest figure.
    pub most: f64,
    /// The point of the smallest figure.
    pub begins: f64,
    /// The point of the largest figure.
    pub ends: f64,
    /// Whether equal steps are equal factors. Both figures must then be above zero.
    pub logarithmic: bool,
}

impl Axis {
    /// The point of a figure.
    pub fn point(&self, figure: f64) -> f64 {
        let place = |figure: f64| if self.logarithmic { figure.max(f64::MIN_POSITIVE).ln() } else { figure };
        let (least, most) = (place(self.least), place(self.most));
        let share = if most > least { (place(figure) - least) / (most - least) } else { 0.5 };
        self.begins + share * (self.ends - self.begins)
    }
}

/// At most six round figures from 0 up to at least `most`.
pub(super) fn ticks(most: f64) -> Vec<f64> {
    let rough = (most / 5.0).max(1e-9);
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= rough * 0.999);
    let step = step.unwrap_or(10.0 * power);
    let count = (most / step - 1e-9).ceil().max(1.0) as u32;
    (0..=count).map(|number| f64::from(number) * step).collect()
}

/// Powers of ten around `least` and `most`, both above zero.
pub(super) fn powers_of_ten(least: f64, most: f64) -> Vec<f64> {
    let (from, to) = ((least.log10() + 1e-9).floor() as i32, (most.log10() - 1e-9).ceil() as i32);
    (from..=to.max(from + 1)).map(|power| 10f64.powi(power)).collect()
}

/// Moves heights apart until neighbours differ by at least `gap`. Keeps their order, moves them as little as
/// possible, and none below `lowest` (y grows downwards).
pub(super) fn apart(heights: &[f64], gap: f64, lowest: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..heights.len()).collect();
    order.sort_by(|a, b| heights[*a].total_cmp(&heights[*b]));
    let mut placed = heights.to_vec();
    // Groups of touching heights. For each: the top that minimises the moves, and its members.
    let mut groups: Vec<(f64, Vec<usize>)> = Vec::new();
    for at in order {
        let mut group = (heights[at], vec![at]);
        while let Some(above) = groups.pop_if(|above| bottom(above, gap) + gap > group.0) {
            let (upper, lower) = (above.1.len() as f64, group.1.len() as f64);
            group.0 = (above.0 * upper + (group.0 - upper * gap) * lower) / (upper + lower);
            group.1.splice(0..0, above.1);
        }
        groups.push(group);
    }
    for (top, members) in &groups {
        let over = (top + (members.len() - 1) as f64 * gap - lowest).max(0.0);
        for (place, member) in members.iter().enumerate() {
            placed[*member] = top - over + place as f64 * gap;
        }
    }
    placed
}

fn bottom(group: &(f64, Vec<usize>), gap: f64) -> f64 {
    group.0 + (group.1.len() - 1) as f64 * gap
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_lie_on_their_axis_in_equal_steps_or_in_equal_factors() {
        let axis = Axis { least: 0.0, most: 10.0, begins: 200.0, ends: 100.0, logarithmic: false };
        assert_eq!([0.0, 5.0, 10.0].map(|figure| axis.point(figure)), [200.0, 150.0, 100.0]);
        let axis = Axis { least: 1.0, most: 100.0, begins: 0.0, ends: 10.0, logarithmic: true };
        assert_eq!([1.0, 10.0, 100.0].map(|figure| axis.point(figure).round()), [0.0, 5.0, 10.0]);
        let alone = Axis { least: 4.0, most: 4.0, begins: 0.0, ends: 10.0, logarithmic: false };
        assert_eq!(alone.point(4.0), 5.0);
    }

    #[test]
    fn ticks_are_round_and_reach_the_highest_figure() {
        assert_eq!(ticks(5.0), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
        assert_eq!(ticks(11.0), [0.0, 5.0, 10.0, 15.0]);
        assert_eq!(ticks(370.0), [0.0, 100.0, 200.0, 300.0, 400.0]);
        for most in [0.3, 1.0, 7.0, 99.0, 101.0, 12_345.0] {
            assert!(ticks(most).len() <= 7 && *ticks(most).last().unwrap() >= most, "{most}");
        }
        assert_eq!(powers_of_ten(12.0, 4_500.0), [10.0, 100.0, 1_000.0, 10_000.0]);
        assert_eq!(powers_of_ten(10.0, 10.0), [10.0, 100.0]);
    }

    #[test]
    fn labels_keep_apart_and_in_order_and_move_no_more_than_they_must() {
        assert_eq!(apart(&[10.0, 50.0], 16.0, 100.0), [10.0, 50.0]);
        assert_eq!(apart(&[50.0, 50.0], 16.0, 100.0), [42.0, 58.0]);
        assert_eq!(apart(&[60.0, 50.0, 52.0], 16.0, 100.0), [70.0, 38.0, 54.0]);
        assert_eq!(apart(&[100.0, 99.0], 16.0, 100.0), [100.0, 84.0]);
    }
}
