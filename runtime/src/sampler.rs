//! How the next token is chosen: argmax, or drawn with temperature, top-k and top-p.

use core::ops::AddAssign;

#[cfg(feature = "f32")]
use crate::arithmetic::activation::exp;
use crate::arithmetic::fixed::{EXPONENT_BITS, SUM_BITS, VANISHING_EXPONENT, power};
use crate::error::Error;
use crate::logits::{Logits, Values};
use crate::vocab::Token;

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
#[must_use = "a sampler does nothing by itself"]
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Sampler {
    /// `None` for argmax.
    temperature: Option<Temperature>,
    top_k: usize,
    top_p: f32,
    /// The same in 65536ths.
    top_p_fixed: u32,
}

/// A temperature in both arithmetics.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Temperature {
    inverse: f32,
    fixed: FixedTemperature,
}

/// `log2(e) / temperature` as `multiplier / 2^shift`, from the format of logits to that of exponents.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct FixedTemperature {
    multiplier: u32,
    shift: u32,
    /// Logits this far below the largest have no weight; below it nothing overflows.
    vanishing: u32,
}

impl FixedTemperature {
    const fn new(temperature: f32) -> Self {
        let scale = (1u32 << (SUM_BITS - EXPONENT_BITS)) as f64;
        let mut multiplier = core::f64::consts::LOG2_E / (temperature as f64 * scale);
        let mut shift = 0;
        // As many digits as 16 bits hold, and no more than keep the limit below 2^32.
        while multiplier < 32_768.0 && shift < 17 {
            multiplier *= 2.0;
            shift += 1;
        }
        let multiplier = (multiplier + 0.5) as u32;
        let multiplier = if multiplier > 0xffff {
            0xffff
        } else {
            multiplier
        };
        let vanishing = match (VANISHING_EXPONENT << shift).checked_div(multiplier) {
            Some(limit) => limit + 1,
            None => u32::MAX,
        };
        Self {
            multiplier,
            shift,
            vanishing,
        }
    }

    /// `2^16 exp(-difference / temperature)`.
    fn weight(self, difference: u32) -> u32 {
        if difference >= self.vanishing {
            return 0;
        }
        power(difference.wrapping_mul(self.multiplier) >> self.shift)
    }
}

impl Sampler {
    /// Always the most probable token, which `top_k` and `top_p` can't change.
    pub const fn argmax() -> Self {
        Self {
            temperature: None,
            top_k: usize::MAX,
            top_p: 1.0,
            top_p_fixed: 1 << 16,
        }
    }

    /// Draws with a temperature: 1 is the model's own distribution, less is more careful.
    ///
    /// In a constant it brings no floating-point code into a firmware: `const {
    /// Sampler::with_temperature(0.8) }?`.
    ///
    /// # Errors
    /// [`Error::InvalidTemperature`] unless it and its inverse are positive and finite.
    pub const fn with_temperature(temperature: f32) -> Result<Self, Error> {
        let inverse = 1.0 / temperature;
        if !(temperature > 0.0 && temperature.is_finite() && inverse.is_finite()) {
            return Err(Error::InvalidTemperature);
        }
        let fixed = FixedTemperature::new(temperature);
        Ok(Self {
            temperature: Some(Temperature { inverse, fixed }),
            ..Self::argmax()
        })
    }

    /// Keeps only the `top_k` most probable tokens; all, if there are fewer.
    ///
    /// # Errors
    /// [`Error::InvalidTopK`] if it is 0.
    pub const fn top_k(self, top_k: usize) -> Result<Self, Error> {
        if top_k == 0 {
            return Err(Error::InvalidTopK);
        }
        Ok(Self { top_k, ..self })
    }

    /// Keeps only the fewest tokens that make up this share of the probability.
    ///
    /// # Errors
    /// [`Error::InvalidTopP`] unless `0 < top_p <= 1`.
    pub const fn top_p(self, top_p: f32) -> Result<Self, Error> {
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::InvalidTopP);
        }
        Ok(Self {
            top_p,
            top_p_fixed: (top_p * 65_536.0) as u32,
            ..self
        })
    }

    /// Chooses a token and uses the logits up. `random` gives 32 random bits: it is called once, and not
    /// at all by [`argmax`](Self::argmax).
    pub fn sample(&self, logits: Logits<'_>, random: impl FnOnce() -> u32) -> Token {
        let Some(temperature) = self.temperature else {
            return logits.argmax();
        };
        let random = random();
        match self.weigh(logits, temperature) {
            #[cfg(feature = "f32")]
            Weights::Float(weights) => {
                // 24 bits: as many as a float holds exactly, so that the product is below the sum.
                let uniform = (random >> 8) as f32 * (1.0 / 16_777_216.0);
                draw(weights, uniform * sum(weights))
            }
            Weights::Fixed(weights) => draw(weights, fraction(sum(weights), random, 32)),
        }
    }

    /// The probability with which [`sample`](Self::sample) chooses each token, in the order of the
    /// tokens and in the model's own arithmetic: 0 for what is never chosen. Uses the logits up.
    pub fn probabilities<'w>(&self, logits: Logits<'w>) -> impl Iterator<Item = f32> + use<'w> {
        let argmax = logits.argmax();
        let size = logits.len();
        let weights = self
            .temperature
            .map(|temperature| self.weigh(logits, temperature));
        let total = weights.as_ref().map_or(1.0, Weights::sum);
        (0..size).map(move |token| match &weights {
            Some(weights) => weights.get(token) / total,
            None if token == argmax.index() => 1.0,
            None => 0.0,
        })
    }

    /// Numbers proportional to the probabilities, in place of the logits.
    fn weigh<'w>(&self, logits: Logits<'w>, temperature: Temperature) -> Weights<'w> {
        match logits.values {
            #[cfg(feature = "f32")]
            Values::Float(logits) => {
                let larger = |a, &b| if b > a { b } else { a };
                let max = logits.iter().fold(f32::NEG_INFINITY, larger);
                for logit in logits.iter_mut() {
                    *logit = exp((*logit - max) * temperature.inverse);
                }
                let weights = logits;
                self.restrict(weights, |sum| sum * self.top_p);
                Weights::Float(weights)
            }
            Values::Fixed(logits) => {
                let max = logits.iter().fold(i32::MIN, |a, &b| a.max(b));
                for logit in logits.iter_mut() {
                    let difference = max.wrapping_sub(*logit).cast_unsigned();
                    *logit = temperature.fixed.weight(difference).cast_signed();
                }
                let weights: &mut [u32] = bytemuck::must_cast_slice_mut(logits);
                self.restrict(weights, |sum| fraction(sum, self.top_p_fixed, 16));
                Weights::Fixed(weights)
            }
        }
    }

    /// Zeroes the weights that top-k and top-p leave out; `share` takes top-p's share of a sum.
    fn restrict<W: Weight>(&self, weights: &mut [W], share: impl FnOnce(W) -> W) {
        if self.top_k < weights.len() {
            keep_largest(weights, self.top_k, None);
        }
        if self.top_p_fixed < 1 << 16 {
            let mass = share(sum(weights));
            keep_largest(weights, usize::MAX, Some(mass));
        }
    }
}

/// `value * factor / 2^bits`. At most 65,535 weights of 2^16 are a sum below 2^32.
fn fraction(value: u32, factor: u32, bits: u32) -> u32 {
    ((u64::from(value) * u64::from(factor)) >> bits) as u32
}

/// The weights of all tokens, in the model's arithmetic.
enum Weights<'w> {
    #[cfg(feature = "f32")]
    Float(&'w mut [f32]),
    Fixed(&'w mut [u32]),
}

impl Weights<'_> {
    fn sum(&self) -> f32 {
        match self {
            #[cfg(feature = "f32")]
            Self::Float(weights) => sum(weights),
            Self::Fixed(weights) => sum(weights) as f32,
        }
    }

    /// The weight of a token; 0 if there is no such token.
    fn get(&self, token: usize) -> f32 {
        match self {
            #[cfg(feature = "f32")]
            Self::Float(weights) => weights.get(token).copied().unwrap_or_default(),
            Self::Fixed(weights) => weights.get(token).copied().unwrap_or_default() as f32,
        }
    }
}

/// A number proportional to a probability, in either arithmetic; the default is 0.
trait Weight: Copy + Default + PartialOrd + AddAssign {}
#[cfg(feature = "f32")]
impl Weight for f32 {}
impl Weight for u32 {}

/// The sum in token order.
fn sum<W: Weight>(weights: &[W]) -> W {
    let mut sum = W::default();
    for &weight in weights {
        sum += weight;
    }
    sum
}

/// Zeroes all but the largest weights: those needed to reach `count` of them or `mass` together.
///
/// It walks down the weights without sorting them, which would need memory: O(kept x all), and most
/// steps keep few.
fn keep_largest<W: Weight>(weights: &mut [W], count: usize, mass: Option<W>) {
    let mut last = None;
    let mut kept = W::default();
    for _ in 0..count {
        let Some(next) = largest_below(weights, last) else {
            return;
        };
        last = Some(next);
        kept += next.weight;
        if mass.is_some_and(|mass| kept >= mass) {
            break;
        }
    }
    for (token, weight) in weights.iter_mut().enumerate() {
        let ranked = Ranked {
            weight: *weight,
            token,
        };
        if last.is_some_and(|last| ranked.is_below(last)) {
            *weight = W::default();
        }
    }
}

/// A token with its weight, ranked by weight and, among equals, by the token.
#[derive(Clone, Copy)]
struct Ranked<W> {
    weight: W,
    token: usize,
}

impl<W: Weight> Ranked<W> {
    fn is_below(self, other: Self) -> bool {
        self.weight < other.weight || (self.weight == other.weight && self.token > other.token)
    }
}

/// The highest ranked token below another, or of all.
fn largest_below<W: Weight>(weights: &[W], limit: Option<Ranked<W>>) -> Option<Ranked<W>> {
    let ranked = weights
        .iter()
        .enumerate()
        .map(|(token, &weight)| Ranked { weight, token });
    let below = ranked.filter(|candidate| limit.is_none_or(|limit| candidate.is_below(limit)));
    below.reduce(|best, candidate| {
        if best.is_below(candidate) {
            candidate
        } else {
            best
        }
    })
}

/// The token whose part of the weights, laid end to end, `target` falls into.
fn draw<W: Weight>(weights: &[W], target: W) -> Token {
    let mut cumulative = W::default();
    let mut chosen = Token(0);
    for (&weight, token) in weights.iter().zip(0..) {
        if weight > W::default() {
            chosen = Token(token);
            cumulative += weight;
            if target < cumulative {
                break;
            }
        }
    }
    chosen
}
