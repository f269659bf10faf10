//! A profile of a training step: the time of each stage.

use std::time::{Duration, Instant};

/// The direction of a pass.
#[derive(Clone, Copy, Debug)]
pub(super) enum Direction {
    /// From inputs to outputs: with transposed weights.
    Forward,
    /// From gradients of outputs to those of inputs.
    Backward,
}

/// A stage of a pass through the network, forward or backward.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
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
    /// Packing for the gradients of the weights, and these.
    Weights,
}

const KINDS: usize = 6;

/// Time by stage, summed over all threads.
#[derive(Clone, Copy, Debug, Default)]
pub struct Profile {
    forward: [Duration; KINDS],
    backward: [Duration; KINDS],
}

impl Profile {
    const NAMES: [&str; KINDS] = [
        "gather",
        "input",
        "recurrent",
        "pointwise",
        "head",
        "weights",
    ];

    /// Stages of the forward pass and their times.
    pub fn forward(self) -> impl Iterator<Item = (&'static str, Duration)> {
        Self::NAMES.into_iter().zip(self.forward)
    }

    /// Stages of the backward pass and their times.
    pub fn backward(self) -> impl Iterator<Item = (&'static str, Duration)> {
        Self::NAMES.into_iter().zip(self.backward)
    }

    pub(super) fn add(&mut self, direction: Direction, stage: Stage, time: Duration) {
        let times = match direction {
            Direction::Forward => &mut self.forward,
            Direction::Backward => &mut self.backward,
        };
        times[stage as usize] += time;
    }

    pub(super) fn add_all(&mut self, other: Self) {
        let times = self.forward.iter_mut().chain(&mut self.backward);
        for (sum, time) in times.zip(other.forward.into_iter().chain(other.backward)) {
            *sum += time;
        }
    }
}

/// Measures stages: each lasts from the previous lap to its own. A lap costs some 30 ns.
#[derive(Debug)]
pub(super) struct Stopwatch {
    direction: Direction,
    last: Instant,
    pub(super) profile: Profile,
}

impl Default for Stopwatch {
    fn default() -> Self {
        Self {
            direction: Direction::Forward,
            last: Instant::now(),
            profile: Profile::default(),
        }
    }
}

impl Stopwatch {
    pub(super) fn start(&mut self, direction: Direction) {
        self.direction = direction;
        self.last = Instant::now();
    }

    pub(super) fn lap(&mut self, stage: Stage) {
        let now = Instant::now();
        self.profile.add(self.direction, stage, now - self.last);
        self.last = now;
    }
}
