//! sigmoid, tanh and powers of two in integers. `ARITHMETIC.md` defines them to the bit.

/// Fraction bits of gate sums and logits.
pub(crate) const SUM_BITS: u32 = 11;
/// Fraction bits of activated gates.
pub(crate) const GATE_BITS: u32 = 15;
/// Fraction bits of c.
pub(crate) const C_BITS: u32 = 16;
/// Fraction bits of h.
pub(crate) const H_BITS: u32 = 7;

/// One in the format of activated gates.
pub(crate) const ONE: i32 = 1 << GATE_BITS;
/// Fraction bits between two entries of the sigmoid's table, which are 1/16 apart.
pub(crate) const STEP_BITS: u32 = 7;
/// sigmoid(n / 16) - 1/2 in 32768ths for n from 0 to 256, and an end to interpolate to.
pub(crate) static SIGMOID: [u16; 258] = sigmoid_table();

/// Fraction bits of an exponent.
pub(crate) const EXPONENT_BITS: u32 = 10;
/// Fraction bits between two entries of the table of powers, which are 1/32 apart.
const POWER_STEP_BITS: u32 = 5;
/// 2^(-n / 32) in 65536ths for n from 0 to 32.
static POWERS: [u32; 33] = power_table();
/// From this exponent on a power is 0.
pub(crate) const VANISHING_EXPONENT: u32 = 17 << EXPONENT_BITS;

/// The logistic function of a sum, in 32768ths from 1 to 32767; off by at most 8e-5.
#[inline(always)]
pub(crate) fn sigmoid(sum: i32) -> i32 {
    ONE / 2 + sigmoid_less_half(sum.clamp(-0x8000, 0x7fff))
}

/// The hyperbolic tangent of a sum, in 32768ths: `2 sigmoid(2x) - 1`; off by at most 1.6e-4.
#[inline(always)]
pub(crate) fn tanh(sum: i32) -> i32 {
    2 * sigmoid_less_half(2 * sum.clamp(-0x4000, 0x3fff))
}

/// `sigmoid - 1/2`, which is odd, of a sum of 16 bits. Processors have an instruction for the limits
/// above; where exactly they lie makes no difference, as the last entries of the table are equal.
#[inline(always)]
fn sigmoid_less_half(sum: i32) -> i32 {
    let magnitude = sum.unsigned_abs();
    let at = (magnitude >> STEP_BITS) as usize;
    let fraction = (magnitude & ((1 << STEP_BITS) - 1)) as i32;
    // Never `None`: a magnitude of at most 2^15 gives an index of at most 256.
    let entry = |at: usize| i32::from(SIGMOID.get(at).copied().unwrap_or(0));
    let (low, high) = (entry(at), entry(at + 1));
    let half = 1 << (STEP_BITS - 1);
    let value = low + (((high - low) * fraction + half) >> STEP_BITS);
    if sum < 0 { -value } else { value }
}

/// `2^-exponent` in 65536ths.
pub(crate) fn power(exponent: u32) -> u32 {
    let whole = exponent >> EXPONENT_BITS;
    let fraction = exponent & ((1 << EXPONENT_BITS) - 1);
    let at = (fraction >> POWER_STEP_BITS) as usize;
    let fraction = fraction & ((1 << POWER_STEP_BITS) - 1);
    // Never `None`: ten bits less five are an index below 32.
    let entry = |at: usize| POWERS.get(at).copied().unwrap_or(0);
    let (high, low) = (entry(at), entry(at + 1));
    let value = high - (((high - low) * fraction) >> POWER_STEP_BITS);
    value.checked_shr(whole).unwrap_or(0)
}

/// e to the power of `-x`, for tables that are made while compiling.
const fn exp_minus(x: f64) -> f64 {
    // (e^(-x / 2^12))^(2^12), with enough of the series for the small argument.
    let small = -x / 4096.0;
    let series = 1.0 + small * (1.0 + small / 2.0 * (1.0 + small / 3.0 * (1.0 + small / 4.0)));
    let mut power = series;
    let mut doublings = 0;
    while doublings < 12 {
        power *= power;
        doublings += 1;
    }
    power
}

#[allow(clippy::indexing_slicing, reason = "it runs while compiling")]
const fn sigmoid_table() -> [u16; 258] {
    let mut table = [0; 258];
    let mut at = 0;
    while at < table.len() {
        let value = 32_768.0 / (1.0 + exp_minus(at as f64 / 16.0)) + 0.5;
        // 1 itself would not leave the last bit to c's decay.
        let value = if value < 32_767.0 {
            value as u16
        } else {
            32_767
        };
        table[at] = value - (ONE / 2) as u16;
        at += 1;
    }
    table
}

#[allow(clippy::indexing_slicing, reason = "it runs while compiling")]
const fn power_table() -> [u32; 33] {
    let mut table = [0; 33];
    let mut at = 0;
    while at < table.len() {
        table[at] = (65_536.0 * exp_minus(at as f64 / 32.0 * core::f64::consts::LN_2) + 0.5) as u32;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;

    #[test]
    fn sigmoid_and_tanh_stay_within_their_bounds_for_all_sums() {
        let (mut sigmoid_error, mut tanh_error) = (0.0f64, 0.0f64);
        for sum in -40_000..=40_000 {
            let x = f64::from(sum) / 2048.0;
            let value = f64::from(sigmoid(sum)) / 32_768.0;
            sigmoid_error = sigmoid_error.max((value - 1.0 / (1.0 + (-x).exp())).abs());
            let value = f64::from(tanh(sum)) / 32_768.0;
            tanh_error = tanh_error.max((value - x.tanh()).abs());
            assert_eq!(
                sigmoid(sum) + sigmoid(-sum),
                if sum == 0 { 2 * 16_384 } else { ONE }
            );
            assert!((1..ONE).contains(&sigmoid(sum)));
        }
        assert!(
            sigmoid_error <= 8e-5 && tanh_error <= 1.6e-4,
            "{sigmoid_error} {tanh_error}"
        );
    }

    /// sigmoid and tanh as `ARITHMETIC.md` has them.
    #[test]
    fn sigmoid_and_tanh_are_as_defined_to_the_bit() {
        let entry = |at: i32| i32::from(SIGMOID[at as usize]) + 16_384;
        let defined = |sum: i32| {
            let a = sum.unsigned_abs().min(32_767) as i32;
            let (n, r) = (a >> 7, a & 127);
            let y = entry(n) + (((entry(n + 1) - entry(n)) * r + 64) >> 7);
            if sum >= 0 { y } else { 32_768 - y }
        };
        for sum in (-70_000..=70_000).chain([i32::MIN, i32::MIN + 1, i32::MAX]) {
            assert_eq!(sigmoid(sum), defined(sum), "{sum}");
            let doubled = 2 * sum.clamp(-32_767, 32_767);
            assert_eq!(tanh(sum), 2 * defined(doubled) - 32_768, "{sum}");
        }
    }

    #[test]
    fn powers_stay_within_their_bound_until_they_vanish() {
        for exponent in 0..VANISHING_EXPONENT + 3000 {
            let exact = (-f64::from(exponent) / 1024.0).exp2();
            let error = f64::from(power(exponent)) / 65_536.0 - exact;
            assert!(
                error.abs() <= 7e-5 * exact + 1.0 / 65_536.0,
                "{exponent}: {error}"
            );
        }
        assert_eq!(
            (power(0), power(VANISHING_EXPONENT), power(u32::MAX)),
            (65_536, 0, 0)
        );
    }
}
