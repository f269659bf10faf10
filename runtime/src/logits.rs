//! What a step predicts: one logit per token.

use crate::Token;
use crate::activation::exp;

/// The logits after a step, one per token; `exp(logit)` is proportional to the probability that
/// the token comes next.
///
/// They live in the step's workspace. [`Sampler::sample`](crate::Sampler::sample) uses them up.
#[derive(Debug)]
pub struct Logits<'w> {
    pub(crate) values: &'w mut [f32],
}

impl Logits<'_> {
    /// The logits in the order of the tokens.
    pub fn as_slice(&self) -> &[f32] {
        self.values
    }

    /// The most probable token, the first of equals.
    pub fn greedy(&self) -> Token {
        let mut best = (f32::NEG_INFINITY, Token(0));
        for (&logit, token) in self.values.iter().zip(0..) {
            if logit > best.0 {
                best = (logit, Token(token));
            }
        }
        best.1
    }

    /// The logarithm of a token's probability, in nats: at most 0.
    ///
    /// `None` if there is no such token. The sum of the exponentials is taken in token order.
    pub fn log_prob(&self, token: Token) -> Option<f32> {
        let logit = *self.values.get(token.index())?;
        let max = self.max();
        let mut sum = 0.0;
        for &value in &*self.values {
            sum += exp(value - max);
        }
        Some(logit - max - libm::logf(sum))
    }

    /// The largest logit.
    pub(crate) fn max(&self) -> f32 {
        let larger = |a, &b| if b > a { b } else { a };
        self.values.iter().fold(f32::NEG_INFINITY, larger)
    }
}
