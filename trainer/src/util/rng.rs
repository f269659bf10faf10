//! The random-number streams of a run, all from one seed.

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use serde::{Deserialize, Serialize};

/// The independent random sequences of a run: using more of one doesn't move the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Streams {
    /// Which lines are held out.
    pub split: Random,
    /// Initial weights.
    pub weights: Random,
    /// The order of the data.
    pub order: Random,
    /// What is dropped.
    pub dropout: Random,
    /// Samples shown while training.
    pub samples: Random,
}

impl Streams {
    /// All sequences of a seed.
    pub fn new(seed: u64) -> Self {
        let mut next = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut stream = || {
            // A jump is 2^128 numbers long: the sequences never meet.
            next.jump();
            Random(next.clone())
        };
        Self {
            split: stream(),
            weights: stream(),
            order: stream(),
            dropout: stream(),
            samples: stream(),
        }
    }
}

/// A sequence of random numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Xoshiro256PlusPlus")]
pub struct Random(Xoshiro256PlusPlus);

/// As it is read from a file, which may be damaged.
impl TryFrom<Xoshiro256PlusPlus> for Random {
    type Error = &'static str;

    fn try_from(state: Xoshiro256PlusPlus) -> Result<Self, Self::Error> {
        // A state of zeros makes only zeros, without an end; no other makes eight in a row.
        let mut next = state.clone();
        if (0..8).all(|_| next.next_u64() == 0) {
            return Err("a random sequence has a state of zeros, which makes no random numbers");
        }
        Ok(Self(state))
    }
}

impl Random {
    /// A number in [0, 1), with 24 random bits.
    pub fn uniform(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / 16_777_216.0
    }

    /// A number from a normal distribution with mean 0 and variance 1 (Box and Muller, 1958).
    pub fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.uniform()).cos()
    }

    /// A number below `bound`, by Lemire's multiplication; its bias is below `bound` / 2^64.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.0.next_u64()) * bound as u128) >> 64) as usize
    }

    /// Puts the items into a random order (Fisher and Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }

    /// A sequence that meets none of the others, 2^192 numbers away.
    pub fn apart(&self) -> Self {
        let mut apart = self.clone();
        apart.0.long_jump();
        apart
    }

    /// A seed for a generator of another kind.
    pub fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }
}
