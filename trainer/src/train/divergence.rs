//! Detects divergence: the loss becomes NaN or triples.

use serde::{Deserialize, Serialize};

/// Detects a loss that becomes NaN or infinite, or triples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DivergenceMonitor {
    smoothed: Option<f64>,
    lowest: f64,
}

impl DivergenceMonitor {
    /// The smoothed loss may reach this multiple of its lowest value.
    const JUMP: f64 = 3.0;
    /// Characters after which a loss counts for a third: a large batch is seen at once, and one
    /// surprising character is not.
    const MEMORY: f64 = 1000.0;

    /// Adds a batch's mean loss; returns the problem if the training diverges. `guess` is the loss of a
    /// uniform guess: jumps that stay below it are accepted.
    pub fn observe(&mut self, loss: f64, predictions: usize, guess: f64) -> Option<String> {
        if !loss.is_finite() {
            return Some("the loss is NaN or infinite".to_owned());
        }
        let before = self.smoothed.unwrap_or_else(|| {
            self.lowest = guess;
            guess
        });
        let kept = (-(predictions as f64) / Self::MEMORY).exp();
        let smoothed = kept * before + (1.0 - kept) * loss;
        self.smoothed = Some(smoothed);
        self.lowest = self.lowest.min(smoothed);
        let is_jump = smoothed > Self::JUMP * self.lowest && smoothed > guess;
        is_jump.then(|| {
            let times = smoothed / self.lowest;
            let times = if times < 1000.0 {
                format!("{times:.1}")
            } else {
                format!("{times:.0e}")
            };
            format!(
                "the loss jumped to {times} times {:.2} nats/char",
                self.lowest
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threefold_jump_and_what_is_no_number_are_noticed() {
        let mut monitor = DivergenceMonitor::default();
        for loss in [3.0, 2.0, 1.0, 2.5, 1.0, 1.0] {
            assert_eq!(monitor.observe(loss, 300, 3.0), None);
        }
        // One character may surprise, a batch of them may not.
        assert_eq!(monitor.observe(400.0, 1, 3.0), None);
        let problem = monitor.observe(40.0, 300, 3.0).unwrap();
        assert!(problem.contains("jumped"), "{problem}");
        let problem = monitor.observe(f64::NAN, 300, 3.0).unwrap();
        assert!(problem.contains("NaN"), "{problem}");
        // Ten times as much as before, but far from guessing.
        let mut monitor = DivergenceMonitor::default();
        for loss in [0.001, 0.01, 0.1] {
            assert_eq!(monitor.observe(loss, 10_000, 3.0), None);
        }
    }
}
