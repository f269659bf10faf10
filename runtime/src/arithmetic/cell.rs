//! The LSTM cell, in both arithmetics: the only place that knows what the four gates do.
//!
//! `c' = sigmoid(f) c + sigmoid(i) tanh(g)` and `h' = sigmoid(o) tanh(c')`: the equations and the gate
//! order of PyTorch's `nn.LSTM`.

#[cfg(feature = "f32")]
use crate::arithmetic::activation;
use crate::arithmetic::fixed::{C_BITS, GATE_BITS, H_BITS, SUM_BITS, sigmoid, tanh};

/// c and h of a unit after a step, from the sums of its gates i, f, g, o, in single precision.
#[cfg(feature = "f32")]
#[inline(always)]
pub(crate) fn float([i, f, g, o]: [f32; 4], c: f32) -> (f32, f32) {
    use activation::{sigmoid, tanh};
    let c = sigmoid(f) * c + sigmoid(i) * tanh(g);
    (c, sigmoid(o) * tanh(c))
}

/// The same in integers: sums have [`SUM_BITS`] fraction bits, c [`C_BITS`] and h [`H_BITS`].
///
/// c can't overflow, whatever it was: the forget gate is below 1 by 2^-15, which takes more from the
/// largest c than the input gate can add.
#[inline(always)]
pub(crate) fn fixed([i, f, g, o]: [i32; 4], c: i32) -> (i32, i8) {
    // The product of 47 bits, shifted right by 16, in two of 32: not every chip has one of 64.
    let keep = sigmoid(f);
    let kept = (c >> 16) * keep + (((c & 0xffff) * keep) >> 16);
    let added = (sigmoid(i) * tanh(g)) >> (2 * GATE_BITS - C_BITS);
    let c = kept.wrapping_mul(2).wrapping_add(added);
    let product = sigmoid(o) * tanh(c >> (C_BITS - SUM_BITS));
    let shift = 2 * GATE_BITS - H_BITS;
    let h = (product + (1 << (shift - 1))) >> shift;
    // 1 itself has no 8 bits.
    (c, h.min(i8::MAX.into()) as i8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overflows_and_h_has_eight_bits() {
        let extremes = [i32::MIN, -32_768, -1, 0, 1, 32_767, i32::MAX];
        let largest_c = [i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX - 1, i32::MAX];
        for c in largest_c {
            for [i, f, g, o] in four(extremes) {
                let (next, h) = fixed([i, f, g, o], c);
                let exact = 2 * ((i128::from(c) * i128::from(sigmoid(f))) >> 16)
                    + ((i128::from(sigmoid(i)) * i128::from(tanh(g))) >> 14);
                assert_eq!(i128::from(next), exact, "{i} {f} {g} {o} {c}");
                let exact = (i64::from(sigmoid(o)) * i64::from(tanh(next >> 5)) + (1 << 22)) >> 23;
                assert_eq!(i64::from(h), exact.min(127), "{o} {next}");
            }
        }
    }

    fn four(values: [i32; 7]) -> impl Iterator<Item = [i32; 4]> {
        let pairs = move || values.into_iter().flat_map(move |a| values.map(|b| [a, b]));
        pairs().flat_map(move |[a, b]| pairs().map(move |[c, d]| [a, b, c, d]))
    }
}
