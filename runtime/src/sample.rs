//! How the next token is chosen: greedy, or drawn with temperature, top-k and top-p.

use rand_core::Rng;

use crate::activation::exp;
use crate::{Error, Logits, Token};

/// How a token is chosen from the logits.
///
/// The probabilities are `softmax(logits / temperature)`; then only the `top_k` most probable tokens
/// are kept, and of these the fewest that make up `top_p` of their probability. Of equal tokens the
/// first counts as more probable. The same generator and settings choose the same token on every
/// chip.
///
/// ```
/// use charlet::Sampler;
/// let sampler = Sampler::with_temperature(0.8)?.top_k(10)?.top_p(0.95)?;
/// # Ok::<(), charlet::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sampler {
    /// `None` for greedy.
    inverse_temperature: Option<f32>,
    top_k: usize,
    top_p: f32,
}

impl Sampler {
    /// Always the most probable token.
    pub const fn greedy() -> Self {
        Self {
            inverse_temperature: None,
            top_k: usize::MAX,
            top_p: 1.0,
        }
    }

    /// Draws with a temperature: 1 is the model's own distribution, less is more careful.
    ///
    /// # Errors
    /// [`Error::Temperature`] unless it and its inverse are positive and finite.
    pub const fn with_temperature(temperature: f32) -> Result<Self, Error> {
        let inverse = 1.0 / temperature;
        if !(temperature > 0.0 && temperature.is_finite() && inverse.is_finite()) {
            return Err(Error::Temperature);
        }
        Ok(Self {
            inverse_temperature: Some(inverse),
            ..Self::greedy()
        })
    }

    /// Keeps only the `top_k` most probable tokens.
    ///
    /// # Errors
    /// [`Error::TopK`] if it is 0; one that exceeds the vocabulary is refused when a
    /// [`Generator`](crate::Generator) is made.
    pub const fn top_k(self, top_k: usize) -> Result<Self, Error> {
        if top_k == 0 {
            return Err(Error::TopK);
        }
        Ok(Self { top_k, ..self })
    }

    /// Keeps only the fewest tokens that make up this share of the probability.
    ///
    /// # Errors
    /// [`Error::TopP`] unless `0 < top_p <= 1`.
    pub const fn top_p(self, top_p: f32) -> Result<Self, Error> {
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::TopP);
        }
        Ok(Self { top_p, ..self })
    }

    /// Refuses a `top_k` that was set and exceeds the vocabulary.
    pub(crate) fn check(&self, vocab_size: usize) -> Result<(), Error> {
        let unset = self.top_k == usize::MAX;
        if unset || self.top_k <= vocab_size {
            Ok(())
        } else {
            Err(Error::TopK)
        }
    }

    /// Chooses a token and uses the logits up. Drawing takes one `next_u32` of the generator.
    pub fn sample<R: Rng>(&self, logits: Logits<'_>, rng: &mut R) -> Token {
        let Some(inverse_temperature) = self.inverse_temperature else {
            return logits.greedy();
        };
        let max = logits.max();
        let weights = logits.values;
        for weight in weights.iter_mut() {
            *weight = exp((*weight - max) * inverse_temperature);
        }
        if self.top_k < weights.len() {
            keep_largest(weights, self.top_k, f32::INFINITY);
        }
        if self.top_p < 1.0 {
            let mass = self.top_p * sum(weights);
            keep_largest(weights, usize::MAX, mass);
        }
        draw(weights, rng)
    }
}

/// The sum in token order.
fn sum(weights: &[f32]) -> f32 {
    let mut sum = 0.0;
    for weight in weights {
        sum += weight;
    }
    sum
}

/// Zeroes all but the largest weights: those needed to reach `count` of them or `mass` together.
///
/// It walks down the weights without sorting them, which would need memory: O(kept x all), and most
/// steps keep few.
fn keep_largest(weights: &mut [f32], count: usize, mass: f32) {
    let mut last = Ranked {
        weight: f32::INFINITY,
        token: 0,
    };
    let mut kept = 0.0;
    for _ in 0..count {
        let Some(next) = largest_below(weights, last) else {
            return;
        };
        last = next;
        kept += next.weight;
        if kept >= mass {
            break;
        }
    }
    for (token, weight) in weights.iter_mut().enumerate() {
        let ranked = Ranked {
            weight: *weight,
            token,
        };
        if ranked.is_below(last) {
            *weight = 0.0;
        }
    }
}

/// A token with its weight, ranked by weight and, among equals, by the token.
#[derive(Clone, Copy)]
struct Ranked {
    weight: f32,
    token: usize,
}

impl Ranked {
    fn is_below(self, other: Self) -> bool {
        self.weight < other.weight || (self.weight == other.weight && self.token > other.token)
    }
}

/// The highest ranked token below another.
fn largest_below(weights: &[f32], limit: Ranked) -> Option<Ranked> {
    let ranked = weights
        .iter()
        .enumerate()
        .map(|(token, &weight)| Ranked { weight, token });
    let below = ranked.filter(|candidate| candidate.is_below(limit));
    below.reduce(|best, candidate| {
        if best.is_below(candidate) {
            candidate
        } else {
            best
        }
    })
}

/// Draws a token with a probability proportional to its weight.
fn draw<R: Rng>(weights: &[f32], rng: &mut R) -> Token {
    // 24 bits: as many as a float holds exactly, so that the product below stays under the sum.
    let uniform = (rng.next_u32() >> 8) as f32 * (1.0 / 16_777_216.0);
    let target = uniform * sum(weights);
    let mut cumulative = 0.0;
    let mut chosen = Token(0);
    for (&weight, token) in weights.iter().zip(0..) {
        if weight > 0.0 {
            chosen = Token(token);
            cumulative += weight;
            if target < cumulative {
                break;
            }
        }
    }
    chosen
}
