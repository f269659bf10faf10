//! What a step predicts: one logit per token.

use bytemuck::{must_cast_slice, must_cast_slice_mut};

use crate::arch::{self, Operation};
use crate::arithmetic::activation::exp;
use crate::arithmetic::fixed::SUM_BITS;
use crate::format::Precision;
use crate::vocab::Token;

/// In place of the logit of a token that shall not be chosen: no sum is as small.
pub(crate) const EXCLUDED: i32 = i32::MIN;

/// The logits after a step, one per token; `exp(logit)` is proportional to the probability that
/// the token comes next.
///
/// They live in the step's workspace. [`Sampler::sample`](crate::Sampler::sample) uses them up.
#[derive(Debug)]
pub struct Logits<'w> {
    pub(crate) values: Values<'w>,
}

/// The logits in the model's arithmetic.
#[derive(Debug)]
pub(crate) enum Values<'w> {
    #[cfg(feature = "f32")]
    Float(&'w mut [f32]),
    /// With [`SUM_BITS`] fraction bits.
    Fixed(&'w mut [i32]),
}

impl<'w> Logits<'w> {
    pub(crate) fn new(precision: Precision, words: &'w mut [u32]) -> Self {
        let values = match precision {
            #[cfg(feature = "f32")]
            Precision::F32 => Values::Float(must_cast_slice_mut(words)),
            // Without the feature no other model was loaded.
            _ => Values::Fixed(must_cast_slice_mut(words)),
        };
        Self { values }
    }

    /// Number of tokens.
    pub fn len(&self) -> usize {
        match &self.values {
            #[cfg(feature = "f32")]
            Values::Float(values) => values.len(),
            Values::Fixed(values) => values.len(),
        }
    }

    /// Whether there is no token, which no model has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The logit of a token; `None` if there is no such token.
    pub fn get(&self, token: Token) -> Option<f32> {
        match &self.values {
            #[cfg(feature = "f32")]
            Values::Float(values) => values.get(token.index()).copied(),
            Values::Fixed(values) => values.get(token.index()).map(|&value| value.value()),
        }
    }

    /// The logits in the order of the tokens.
    pub fn iter(&self) -> impl Iterator<Item = f32> {
        (0..=u16::MAX).map_while(|token| self.get(Token(token)))
    }

    /// The logits as the model's arithmetic has them, in the order of the tokens: bits of an `f32`, or
    /// an `i32` with 11 fraction bits. No floating-point code is linked for it.
    pub fn as_words(&self) -> &[u32] {
        match &self.values {
            #[cfg(feature = "f32")]
            Values::Float(values) => must_cast_slice(values),
            Values::Fixed(values) => must_cast_slice(values),
        }
    }

    /// The most probable token, the first of equals.
    pub fn argmax(&self) -> Token {
        match &self.values {
            #[cfg(feature = "f32")]
            Values::Float(values) => first_largest(values),
            Values::Fixed(values) => first_largest(values),
        }
    }

    /// Makes a token one that is never chosen.
    pub fn exclude(&mut self, token: Token) {
        match &mut self.values {
            #[cfg(feature = "f32")]
            Values::Float(values) => {
                if let Some(value) = values.get_mut(token.index()) {
                    *value = f32::NEG_INFINITY;
                }
            }
            Values::Fixed(values) => {
                if let Some(value) = values.get_mut(token.index()) {
                    *value = EXCLUDED;
                }
            }
        }
    }

    /// The logarithm of a token's probability, in nats: at most 0.
    ///
    /// `None` if there is no such token. The sum of the exponentials is taken in token order.
    pub fn log_prob(&self, token: Token) -> Option<f32> {
        let logit = self.get(token)?;
        let mut found = ExpSum::default();
        let into = &mut found;
        match &self.values {
            #[cfg(feature = "f32")]
            Values::Float(values) => arch::run(AddExps { values, into }),
            Values::Fixed(values) => arch::run(AddExps { values, into }),
        }
        Some(logit - found.max - libm::logf(found.sum))
    }
}

/// A logit in the model's arithmetic.
trait Logit: Copy + Default {
    fn value(self) -> f32;
}

impl Logit for f32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self
    }
}

impl Logit for i32 {
    #[inline(always)]
    fn value(self) -> f32 {
        self as f32 / (1 << SUM_BITS) as f32
    }
}

/// The largest logit, and the sum of the exponentials of all less that one.
#[derive(Default)]
struct ExpSum {
    max: f32,
    sum: f32,
}

/// Adds exponentials up in token order.
struct AddExps<'l, L> {
    values: &'l [L],
    into: &'l mut ExpSum,
}

impl<L: Logit> Operation for AddExps<'_, L> {
    #[inline(always)]
    fn compute(self) {
        /// Exponentials that are computed at once: a sum in order would keep them from it.
        const AT_ONCE: usize = 16;
        let mut max = f32::NEG_INFINITY;
        for value in self.values {
            let value = value.value();
            max = if value > max { value } else { max };
        }
        let mut sum = 0.0;
        for values in self.values.chunks(AT_ONCE) {
            let mut exps = [0.0; AT_ONCE];
            for (place, value) in exps.iter_mut().zip(values) {
                *place = value.value() - max;
            }
            for place in &mut exps {
                *place = exp(*place);
            }
            for exp in exps.iter().take(values.len()) {
                sum += exp;
            }
        }
        *self.into = ExpSum { max, sum };
    }
}

/// The place of the largest value, the first of equals; what can't be compared is not larger.
fn first_largest<T: PartialOrd>(values: &[T]) -> Token {
    let mut best: Option<(&T, u16)> = None;
    for (value, token) in values.iter().zip(0..) {
        // Not a number stays the best only until a number comes.
        if best.is_none_or(|(largest, _)| value > largest || largest.partial_cmp(largest).is_none())
        {
            best = Some((value, token));
        }
    }
    Token(best.map_or(0, |(_, token)| token))
}
