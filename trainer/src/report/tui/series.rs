//! Curves of any length in bounded memory.

/// Points after which a series is thinned, to half as many: more than a wide terminal shows.
const MOST: usize = 2048;

/// Points of a curve, in order. In a long series each stands for the mean of several.
#[derive(Clone, Debug)]
pub(super) struct Series {
    points: Vec<(f64, f64)>,
    /// How many values a point stands for.
    stride: usize,
    /// The sums of a point to be, and its values so far.
    next: (f64, f64),
    count: usize,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            points: Vec::new(),
            stride: 1,
            next: (0.0, 0.0),
            count: 0,
        }
    }
}

impl Series {
    /// Adds a value behind the last; one that is no number is left out.
    pub(super) fn push(&mut self, x: f64, y: f64) {
        if !y.is_finite() {
            return;
        }
        self.next.0 += x;
        self.next.1 += y;
        self.count += 1;
        if self.count < self.stride {
            return;
        }
        let count = self.count as f64;
        self.points.push((self.next.0 / count, self.next.1 / count));
        (self.next, self.count) = ((0.0, 0.0), 0);
        if self.points.len() == MOST {
            let pairs = self.points.chunks_exact(2);
            let mean = |a: f64, b: f64| f64::midpoint(a, b);
            self.points = pairs
                .map(|pair| (mean(pair[0].0, pair[1].0), mean(pair[0].1, pair[1].1)))
                .collect();
            self.stride *= 2;
        }
    }

    /// Forgets what lies beyond `x`.
    pub(super) fn cut(&mut self, x: f64) {
        self.points.retain(|point| point.0 <= x);
        (self.next, self.count) = ((0.0, 0.0), 0);
    }

    pub(super) fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The curve in so many characters of one line, from its lowest to its highest value.
    pub(super) fn sparkline(&self, width: usize) -> String {
        const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let width = width.min(self.points.len());
        let means: Vec<f64> = (0..width)
            .map(|at| {
                let part = |at| at * self.points.len() / width;
                let part = &self.points[part(at)..part(at + 1)];
                part.iter().map(|point| point.1).sum::<f64>() / part.len() as f64
            })
            .collect();
        let low = means.iter().copied().fold(f64::INFINITY, f64::min);
        let high = means.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // What differs by rounding is flat.
        if high - low <= 1e-9 * high.abs() {
            return LEVELS[0].to_string().repeat(width);
        }
        let level = |value: f64| {
            let share = (value - low) / (high - low);
            LEVELS[((share * 8.0) as usize).min(7)]
        };
        means.into_iter().map(level).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_is_thinned_and_keeps_its_shape() {
        let mut series = Series::default();
        for x in 0..100_000 {
            series.push(f64::from(x), 2.0 * f64::from(x));
        }
        series.push(1e6, f64::NAN);
        let points = series.points();
        assert!((MOST / 2..MOST).contains(&points.len()), "{}", points.len());
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
        assert!(points.iter().all(|point| point.1 == 2.0 * point.0));
        assert!(points[0].0 < 100.0 && points.last().unwrap().0 > 99_900.0);
        series.cut(50_000.0);
        assert!(series.points().last().unwrap().0 <= 50_000.0);
    }

    #[test]
    fn a_sparkline_goes_from_the_lowest_to_the_highest() {
        let mut series = Series::default();
        assert_eq!(series.sparkline(10), "");
        series.push(0.0, 1.0);
        assert_eq!(series.sparkline(10), "▁");
        for x in 1..=7 {
            series.push(f64::from(x), f64::from(x + 1));
        }
        assert_eq!(series.sparkline(10), "▁▂▃▄▅▆▇█");
        assert_eq!(series.sparkline(2), "▁█");
        let mut flat = Series::default();
        (0..100).for_each(|x| flat.push(f64::from(x), 0.1));
        assert_eq!(flat.sparkline(7), "▁▁▁▁▁▁▁");
        assert_eq!(series.sparkline(0), "");
    }
}
