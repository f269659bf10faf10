//! Two products with one 32-bit multiplication, for chips without instructions for that.
//!
//! A number `a + b * 2^16` times `y + x * 2^16` is `(a * x + b * y) * 2^16 + a * y` modulo 2^32: in its upper
//! half stands the sum of two products, and below it what rounding takes away. A row's word of weights
//! is `even + 2^8 * odd`, where both are such numbers. With factors of four inputs
//!
//! ```text
//! first  = x1 + x0 * 2^16
//! second = x3 + x2 * 2^16 - 2^8 * first
//! ```
//!
//! `word * first + odd * second` is `even * first + odd * (x3 + x2 * 2^16)`, so that only `odd` must be taken
//! out of the word.
//!
//! Four products of weights without their bias of 64 are from -32,512 to 32,768. One less, they fit the upper half. What
//! the bias adds is the same for all rows: a row of nothing but the bias has it, and from the sum of a row
//! with no bits at all, taken from the others, follows what the stored weights give.

use super::Inputs;

/// Replaces inputs by their factors.
pub(crate) fn pack(inputs: &mut [Inputs]) {
    for words in inputs {
        let [[x0, x1], [x2, x3]] = words.map(super::halves);
        let first = i32::from(x1).wrapping_add(i32::from(x0) << 16);
        let second = i32::from(x3).wrapping_add(i32::from(x2) << 16);
        let second = second.wrapping_sub(first << 8);
        *words = [first, second].map(i32::cast_unsigned);
    }
}

/// The sum of the inputs that were replaced by these factors.
#[cfg(any(test, feature = "batch"))]
pub(crate) fn total(factors: &[Inputs]) -> i32 {
    let both = |pair: i32| {
        let low = pair as i16;
        i32::from(low) + (pair.wrapping_sub(i32::from(low)) >> 16)
    };
    let mut total = 0;
    for factors in factors {
        let [first, second] = factors.map(u32::cast_signed);
        total += both(first) + both(second.wrapping_add(first << 8));
    }
    total
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::arch::portable;
    use crate::format::layout::ROWS_PER_QUAD;

    /// What the kernels compute of a row's word.
    fn products(word: u32, [first, second]: Inputs) -> i32 {
        let of = |word: u32| {
            let odd = word >> 8 & 0x00ff_00ff;
            word.wrapping_mul(first)
                .wrapping_add(odd.wrapping_mul(second))
        };
        let bias = 0u32.wrapping_sub(of(0x4040_4040)).wrapping_sub(0x8000);
        let upper = |word| (of(word).wrapping_add(bias).cast_signed()) >> 16;
        upper(word) - upper(0)
    }

    #[test]
    fn packed_products_are_those_of_the_portable_kernel() {
        let inputs = [-128, -127, -65, -1, 0, 1, 64, 126, 127];
        let weights = [0u8, 1, 63, 64, 65, 126, 127];
        let mut random = 1u32;
        let mut pick = |len: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) as usize % len
        };
        // All alike first, the extremes among them.
        let alike = inputs
            .iter()
            .flat_map(|&x| weights.map(|weight| ([x; 4], [weight; 4])));
        let mixed: std::vec::Vec<([i16; 4], [u8; 4])> = (0..100_000)
            .map(|_| {
                let inputs = core::array::from_fn(|_| inputs[pick(inputs.len())]);
                (
                    inputs,
                    core::array::from_fn(|_| weights[pick(weights.len())]),
                )
            })
            .collect();
        for (x, row) in alike.chain(mixed) {
            let half = |at: usize| u32::from(x[at].cast_unsigned());
            let words = [half(0) | half(1) << 16, half(2) | half(3) << 16];
            let mut quad = [0; 16];
            quad[..4].copy_from_slice(&row);
            let mut expected = [[0; ROWS_PER_QUAD]];
            portable::dot(&[quad], &[words], &mut expected);
            let mut packed = [words];
            pack(&mut packed);
            assert_eq!(
                total(&packed),
                x.iter().copied().map(i32::from).sum(),
                "{x:?}"
            );
            let actual = products(u32::from_le_bytes(row), packed[0]);
            assert_eq!(actual, expected[0][0], "{x:?} {row:?}");
        }
    }
}
