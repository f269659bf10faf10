//! Where the time of a training step goes.

use std::time::{Duration, Instant};

/// A kind of work in the network, forward or backward.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// Rows of the first layer's table.
    Gather,
    /// Products with the deeper layers' input weights.
    Input,
    /// Products with the recurrent weights, step by step.
    Recurrent,
    /// Gates, c and h.
    Pointwise,
    /// Logits and loss.
    Head,
    /// Products that are the gradients of the weights.
    Weights,
}

/// Time by kind of work, of all threads together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases([Duration; 6]);

impl Phases {
    const NAMES: [&str; 6] = [
        "gather",
        "input",
        "recurrent",
        "pointwise",
        "head",
        "weights",
    ];

    /// The kinds of work with their times.
    pub fn iter(self) -> impl Iterator<Item = (&'static str, Duration)> {
        Self::NAMES.into_iter().zip(self.0)
    }

    pub(super) fn add(&mut self, phase: Phase, time: Duration) {
        self.0[phase as usize] += time;
    }

    pub(super) fn add_all(&mut self, other: Self) {
        for (sum, time) in self.0.iter_mut().zip(other.0) {
            *sum += time;
        }
    }
}

/// Tells phases apart: each lasts from the last lap to its own. A lap costs some 30 ns.
#[derive(Debug)]
pub(super) struct Stopwatch {
    last: Instant,
    pub(super) phases: Phases,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self {
            last: Instant::now(),
            phases: Phases::default(),
        }
    }
}

impl Stopwatch {
    pub(super) fn start(&mut self) {
        self.last = Instant::now();
    }

    pub(super) fn lap(&mut self, phase: Phase) {
        let now = Instant::now();
        self.phases.add(phase, now - self.last);
        self.last = now;
    }
}
