//! Where the time of a training step goes.

use std::time::{Duration, Instant};

/// Which way the products go.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    /// From inputs to outputs: with transposed weights.
    Forward,
    /// From gradients of outputs to those of inputs.
    Backward,
}

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
    /// What is kept for the gradients of the weights, and they.
    Weights,
}

const KINDS: usize = 6;

/// Time by kind of work, of all threads together.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases {
    forward: [Duration; KINDS],
    backward: [Duration; KINDS],
}

impl Phases {
    const NAMES: [&str; KINDS] = [
        "gather",
        "input",
        "recurrent",
        "pointwise",
        "head",
        "weights",
    ];

    /// The kinds of work on the way forward, with their times.
    pub fn forward(self) -> impl Iterator<Item = (&'static str, Duration)> {
        Self::NAMES.into_iter().zip(self.forward)
    }

    /// The kinds of work on the way back, with their times.
    pub fn backward(self) -> impl Iterator<Item = (&'static str, Duration)> {
        Self::NAMES.into_iter().zip(self.backward)
    }

    pub(super) fn add(&mut self, direction: Direction, phase: Phase, time: Duration) {
        let times = match direction {
            Direction::Forward => &mut self.forward,
            Direction::Backward => &mut self.backward,
        };
        times[phase as usize] += time;
    }

    pub(super) fn add_all(&mut self, other: Self) {
        let times = self.forward.iter_mut().chain(&mut self.backward);
        for (sum, time) in times.zip(other.forward.into_iter().chain(other.backward)) {
            *sum += time;
        }
    }
}

/// Tells phases apart: each lasts from the last lap to its own. A lap costs some 30 ns.
#[derive(Debug)]
pub(super) struct Stopwatch {
    direction: Direction,
    last: Instant,
    pub(super) phases: Phases,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self {
            direction: Direction::Forward,
            last: Instant::now(),
            phases: Phases::default(),
        }
    }
}

impl Stopwatch {
    pub(super) fn start(&mut self, direction: Direction) {
        self.direction = direction;
        self.last = Instant::now();
    }

    pub(super) fn lap(&mut self, phase: Phase) {
        let now = Instant::now();
        self.phases.add(self.direction, phase, now - self.last);
        self.last = now;
    }
}
