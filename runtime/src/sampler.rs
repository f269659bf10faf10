//! How the next token is chosen: argmax, or drawn with temperature, top-k and top-p.

use core::ops::AddAssign;

#[cfg(feature = "f32")]
use crate::arithmetic::activation::exp;
use crate::arithmetic::fixed::{EXPONENT_BITS, SUM_BITS, VANISHING_EXPONENT, power};
use crate::error::Error;
use crate::logits::{EXCLUDED, Logits, Values};
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
    // Inlined, and so is `restrict`: where a caller leaves nothing out, that isn't linked.
    #[inline(always)]
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
                    *logit = if *logit == EXCLUDED {
                        0
                    } else {
                        temperature.fixed.weight(difference).cast_signed()
                    };
                }
                let weights: &mut [u32] = bytemuck::must_cast_slice_mut(logits);
                self.restrict(weights, |sum| fraction(sum, self.top_p_fixed, 16));
                Weights::Fixed(weights)
            }
        }
    }

    /// Zeroes the weights that top-k and top-p leave out; `share` takes top-p's share of a sum.
    #[inline(always)]
    fn restrict<W: Weight>(&self, weights: &mut [W], share: impl FnOnce(W) -> W) {
        if self.top_k < weights.len() {
            // There are at most 65,535.
            keep_largest(weights, self.top_k as u32, |_| 1);
        }
        if self.top_p_fixed < 1 << 16 {
            let mass = share(sum(weights));
            W::keep_mass(weights, mass);
        }
    }
}

/// The weights of the model's own distribution, softmax with temperature 1, in place of the logits: 2^16
/// for the most probable token, 0 for those that are less than 2^-16 as probable.
pub(crate) fn weights(logits: Logits<'_>) -> &mut [u32] {
    const TEMPERATURE: Temperature = Temperature {
        inverse: 1.0,
        fixed: FixedTemperature::new(1.0),
    };
    match Sampler::argmax().weigh(logits, TEMPERATURE) {
        #[cfg(feature = "f32")]
        Weights::Float(weights) => {
            let weights: &mut [u32] = bytemuck::must_cast_slice_mut(weights);
            for weight in weights.iter_mut() {
                *weight = (f32::from_bits(*weight) * 65_536.0) as u32;
            }
            weights
        }
        Weights::Fixed(weights) => weights,
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
trait Weight: Copy + Default + PartialOrd + AddAssign {
    /// The largest weight, which the most probable token has.
    const MAX: Self;

    /// A number in the order of the weights.
    fn key(self) -> u32;

    /// Zeroes all but the largest weights: those needed to reach `mass` together.
    fn keep_mass(weights: &mut [Self], mass: Self);
}

#[cfg(feature = "f32")]
impl Weight for f32 {
    const MAX: Self = 1.0;

    fn key(self) -> u32 {
        // In this order, as none is negative.
        self.to_bits()
    }

    fn keep_mass(weights: &mut [Self], mass: Self) {
        walk_down(weights, mass);
    }
}

impl Weight for u32 {
    const MAX: Self = 1 << 16;

    fn key(self) -> u32 {
        self
    }

    fn keep_mass(weights: &mut [Self], mass: Self) {
        // The most probable token is kept, however small the mass is.
        keep_largest(weights, mass.max(1), |weight| weight);
    }
}

/// The sum in token order.
fn sum<W: Weight>(weights: &[W]) -> W {
    let mut sum = W::default();
    for &weight in weights {
        sum += weight;
    }
    sum
}

/// Zeroes all but the largest weights: those needed to reach `goal`, to which each adds an amount.
///
/// Bisection finds the least of them, as sorting would need memory: O(all), in some 20 to 30 passes.
fn keep_largest<W: Weight>(weights: &mut [W], goal: u32, amount: impl Fn(W) -> u32) {
    // The weights of at least `least` reach the goal; those of at least `above` bring less, `brought`.
    let (mut least, mut above, mut brought) = (0, W::MAX.key() + 1, 0);
    while above - least > 1 {
        let middle = least + (above - least) / 2;
        let mut sum = 0;
        for &weight in weights.iter() {
            if weight.key() >= middle {
                sum += amount(weight);
            }
        }
        if sum >= goal {
            least = middle;
        } else {
            (above, brought) = (middle, sum);
        }
    }
    // Of those that are the least, the first are kept.
    for weight in weights {
        let key = weight.key();
        if key > least {
            continue;
        }
        if key == least && brought < goal {
            brought += amount(*weight);
        } else {
            *weight = W::default();
        }
    }
}

/// Zeroes all but the largest weights: those needed to reach `mass` together, added up in the order of
/// their ranks, on which the sum of floating-point numbers depends.
///
/// Sorting would need memory. It walks down the weights by blocks of some that it finds in one pass:
/// O(kept x all / BLOCK).
#[cfg(feature = "f32")]
// Its block takes room on the stack of those only who call it.
#[inline(never)]
fn walk_down<W: Weight>(weights: &mut [W], mass: W) {
    const BLOCK: usize = 32;
    let nothing = W::default();
    let mut kept = nothing;
    let mut last: Option<Ranked<W>> = None;
    loop {
        // The highest ranked tokens below the last one.
        let mut block = [Ranked {
            weight: nothing,
            token: usize::MAX,
        }; BLOCK];
        for (token, &weight) in weights.iter().enumerate() {
            let mut next = Ranked { weight, token };
            let [.., lowest] = block;
            if lowest.is_below(next) && last.is_none_or(|last| next.is_below(last)) {
                for ranked in &mut block {
                    if ranked.is_below(next) {
                        core::mem::swap(ranked, &mut next);
                    }
                }
            }
        }
        for ranked in block {
            if ranked.weight <= nothing {
                // All that have a weight are needed.
                return;
            }
            kept += ranked.weight;
            if kept >= mass {
                for (token, weight) in weights.iter_mut().enumerate() {
                    let next = Ranked {
                        weight: *weight,
                        token,
                    };
                    if next.is_below(ranked) {
                        *weight = nothing;
                    }
                }
                return;
            }
            last = Some(ranked);
        }
    }
}

/// A token with its weight, ranked by weight and, among equals, by the token.
#[cfg(feature = "f32")]
#[derive(Clone, Copy)]
struct Ranked<W> {
    weight: W,
    token: usize,
}

#[cfg(feature = "f32")]
impl<W: Weight> Ranked<W> {
    fn is_below(self, other: Self) -> bool {
        self.weight < other.weight || (self.weight == other.weight && self.token > other.token)
    }
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

#[cfg(test)]
mod tests {
    extern crate std;
    use core::cell::Cell;
    use core::cmp::Ordering;
    use std::vec::Vec;

    use super::*;

    /// Random numbers that are good enough: xorshift.
    struct Random(u32);

    impl Random {
        fn next_u32(&mut self) -> u32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 17;
            self.0 ^= self.0 << 5;
            self.0
        }
    }

    /// The definition: the weights in the order of their ranks, one after the other, until it is enough.
    fn defined<W: Weight>(weights: &[W], count: usize, mass: Option<W>) -> Vec<W> {
        let mut ranked: Vec<(usize, W)> = weights.iter().copied().enumerate().collect();
        // Stable: of equals the first.
        ranked.sort_by(|(_, a), (_, b)| b.partial_cmp(a).unwrap());
        let mut kept: Vec<W> = weights.iter().map(|_| W::default()).collect();
        let mut sum = W::default();
        for (token, weight) in ranked.into_iter().take(count) {
            kept[token] = weight;
            sum += weight;
            if mass.is_some_and(|mass| sum >= mass) {
                break;
            }
        }
        kept
    }

    /// Weights from a few different ones to many, with zeros and, in any case, the largest.
    fn integers(rng: &mut Random, count: u32) -> Vec<u32> {
        let different = [1, 2, 5, 1000, 65_537][rng.next_u32() as usize % 5];
        let mut weights: Vec<u32> = (0..count)
            .map(|_| (rng.next_u32() % different) * (65_536 / different))
            .collect();
        weights[(rng.next_u32() % count) as usize] = u32::MAX;
        weights.iter().map(|&weight| weight.min(1 << 16)).collect()
    }

    #[test]
    fn what_is_kept_is_what_its_definition_keeps() {
        let mut rng = Random(1);
        for case in 0..4000 {
            let count = 1 + rng.next_u32() % [4, 40, 300][case % 3];
            let weights = integers(&mut rng, count);
            let share = [0, 1, 655, 32_768, 58_982, 65_535, rng.next_u32() % 65_536][case % 7];
            let sampler = Sampler {
                top_k: [usize::MAX, 1 + rng.next_u32() as usize % 50][case % 2],
                top_p_fixed: share,
                ..Sampler::argmax()
            };
            let mass = |sum| fraction(sum, share, 16);
            let mut restricted = weights.clone();
            sampler.restrict(&mut restricted, mass);
            let top_k = defined(&weights, sampler.top_k, None);
            let expected = defined(&top_k, usize::MAX, Some(mass(sum(&top_k))));
            assert_eq!(restricted, expected, "case {case}: {sampler:?}");
        }
    }

    #[cfg(feature = "f32")]
    #[test]
    fn sums_of_floats_are_rounded_as_their_definition_rounds_them() {
        let mut rng = Random(2);
        for case in 0..4000 {
            let count = 1 + rng.next_u32() % [4, 40, 300][case % 3];
            let mut weights: Vec<f32> = integers(&mut rng, count)
                .into_iter()
                .map(|weight| exp(weight as f32 / 6553.6 - 10.0))
                .collect();
            if case % 5 == 0 {
                weights
                    .iter_mut()
                    .skip(1)
                    .step_by(2)
                    .for_each(|weight| *weight = 0.0);
            }
            let top_p = [1e-9, 0.01, 0.5, 0.9, 0.999_98][case % 5];
            let sampler = Sampler {
                top_k: [usize::MAX, 1 + rng.next_u32() as usize % 50][case / 5 % 2],
                ..Sampler::argmax()
            };
            let sampler = sampler.top_p(top_p).unwrap();
            let mut restricted = weights.clone();
            sampler.restrict(&mut restricted, |sum| sum * top_p);
            let top_k = defined(&weights, sampler.top_k, None);
            let expected = defined(&top_k, usize::MAX, Some(sum(&top_k) * top_p));
            assert_eq!(restricted, expected, "case {case}: {sampler:?}");
        }
    }

    /// A weight that counts how often it is looked at.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Watched(u32);

    std::thread_local! {
        static LOOKS: Cell<usize> = const { Cell::new(0) };
    }

    impl PartialOrd for Watched {
        fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
            LOOKS.set(LOOKS.get() + 1);
            self.0.partial_cmp(&other.0)
        }
    }

    impl AddAssign for Watched {
        fn add_assign(&mut self, other: Self) {
            self.0 += other.0;
        }
    }

    impl Weight for Watched {
        const MAX: Self = Self(1 << 16);

        fn key(self) -> u32 {
            LOOKS.set(LOOKS.get() + 1);
            self.0
        }

        fn keep_mass(weights: &mut [Self], mass: Self) {
            keep_largest(weights, mass.0, |weight| weight.0);
        }
    }

    /// Sorting one after the other looks at each of 10,000 weights some thousand times.
    #[test]
    fn a_large_alphabet_is_not_searched_for_each_token_that_is_kept() {
        const SIZE: usize = 10_000;
        let mut rng = Random(3);
        let weights: Vec<Watched> = (0..SIZE).map(|_| Watched(rng.next_u32() >> 16)).collect();
        let mass = Watched(sum(&weights).0 / 10 * 9);
        let looks = |keep: fn(&mut [Watched], Watched)| {
            LOOKS.set(0);
            let mut kept = weights.clone();
            keep(&mut kept, mass);
            let looks = LOOKS.get();
            assert!(kept == defined(&weights, SIZE, Some(mass)));
            looks / SIZE
        };
        let bisected = looks(Watched::keep_mass);
        assert!(bisected < 40, "{bisected}");
        #[cfg(feature = "f32")]
        {
            let walked = looks(walk_down);
            assert!(walked < SIZE / 10, "{walked}");
        }
    }
}
