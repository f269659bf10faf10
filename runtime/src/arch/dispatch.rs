//! Picks the backend: while compiling for microcontrollers and WebAssembly, when running on desktops.

#[cfg(target_arch = "x86_64")]
use super::Backend;
#[cfg(kernel = "neon")]
use super::aarch64;
#[cfg(any(kernel = "armv6m", kernel = "armv7m", kernel = "armv7em"))]
use super::arm;
use super::portable;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use super::wasm;
#[cfg(target_arch = "x86_64")]
use super::x86;
use super::{Inputs, NibbleInputs, Quad, Scales, Shifts, StartValues};
use crate::format::layout::ROWS_PER_QUAD;
#[cfg(feature = "batch")]
use crate::format::layout::WeightBits;

/// Returns what the selected backend's function gives, if it is one of x86-64.
#[cfg(target_arch = "x86_64")]
macro_rules! return_on_x86 {
    ($function:ident($($argument:ident),*)) => {
        match x86::selected() {
            // SAFETY: only what the processor has is ever selected.
            Backend::Avx512 => return unsafe { x86::avx512::$function($($argument),*) },
            // SAFETY: as above.
            Backend::Avx2 => return unsafe { x86::avx2::$function($($argument),*) },
            _ => {}
        }
    };
}

/// A computation that can be compiled for several sets of instructions. Closures can't be inlined by
/// force, which is what makes the compiler use them.
pub(crate) trait Operation {
    /// Computes. Implementations are `#[inline(always)]`.
    fn compute(self);
}

/// Runs an operation in code compiled for the best instructions that the chip has.
pub(crate) fn run(operation: impl Operation) {
    #[cfg(target_arch = "x86_64")]
    return_on_x86!(run(operation));
    operation.compute();
}

/// Widens an even number of inputs, and gives their sum.
#[inline]
pub(crate) fn widen(inputs: &[i8], words: &mut [u32]) -> i32 {
    #[cfg(target_arch = "x86_64")]
    return_on_x86!(widen(inputs, words));
    portable::widen(inputs, words)
}

/// Makes the inputs of [`dot`] what its kernel takes, once for all rows.
#[inline]
#[cfg_attr(
    not(any(kernel = "armv7m", kernel = "riscv")),
    allow(unused_variables, reason = "most kernels take them as they are")
)]
pub(crate) fn prepare(inputs: &mut [Inputs]) {
    #[cfg(any(kernel = "armv7m", kernel = "riscv"))]
    super::packed::pack(inputs);
}

/// The sum of inputs, which are [`prepare`]d for weights of a byte.
#[cfg(feature = "batch")]
#[inline(always)]
pub(crate) fn total(words: &[u32], bits: WeightBits) -> i32 {
    match bits {
        #[cfg(any(kernel = "armv7m", kernel = "riscv"))]
        WeightBits::Eight => super::packed::total(words.as_chunks().0),
        _ => portable::total(words),
    }
}

/// For each block of four rows, `sums[row] += weights[row][column] * inputs[column]`, modulo 2^32.
///
/// `weights` has as many quads for each block as there are quads of inputs, which are [`prepare`]d. The
/// build script sets `kernel` for Arm and RISC-V.
#[inline]
#[allow(unreachable_code, reason = "some builds know their backend")]
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    #[cfg(kernel = "neon")]
    return aarch64::dot(weights, inputs, sums);
    #[cfg(any(kernel = "armv6m", kernel = "armv7m", kernel = "armv7em"))]
    return arm::dot(weights, inputs, sums);
    #[cfg(kernel = "riscv")]
    return super::pairs::dot(weights, inputs, sums);
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wasm::dot(weights, inputs, sums);
    #[cfg(target_arch = "x86_64")]
    return_on_x86!(dot(weights, inputs, sums));
    portable::dot(weights, inputs, sums);
}

/// As [`dot`], with weights of half a byte: the lower ones for the first four inputs, the upper ones
/// for the others.
#[inline]
#[allow(unreachable_code, reason = "some builds know their backend")]
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    #[cfg(kernel = "neon")]
    return aarch64::dot_nibbles(weights, inputs, sums);
    #[cfg(any(kernel = "armv6m", kernel = "armv7m", kernel = "armv7em"))]
    return arm::dot_nibbles(weights, inputs, sums);
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    return wasm::dot_nibbles(weights, inputs, sums);
    #[cfg(target_arch = "x86_64")]
    return_on_x86!(dot_nibbles(weights, inputs, sums));
    portable::dot_nibbles(weights, inputs, sums);
}

/// Turns sums into the values of their rows: scales them and adds what the rows start with.
#[inline]
#[allow(unreachable_code, reason = "some builds know their backend")]
pub(crate) fn values(
    shifts: Shifts,
    scales: &[Scales],
    start: &[StartValues],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    #[cfg(kernel = "neon")]
    return aarch64::values(shifts, scales, start, sums);
    #[cfg(kernel = "armv7em")]
    return arm::values(shifts, scales, start, sums);
    #[cfg(target_arch = "x86_64")]
    return_on_x86!(values(shifts, scales, start, sums));
    portable::values(shifts, scales, start, sums);
}

/// c and h of units after a step, from the sums of their gates.
#[inline]
#[allow(unreachable_code, reason = "some builds know their backend")]
pub(crate) fn cells(sums: &[[i32; ROWS_PER_QUAD]], c: &mut [i32], h: &mut [i8]) {
    #[cfg(kernel = "neon")]
    return aarch64::cells(sums, c, h);
    #[cfg(target_arch = "x86_64")]
    return_on_x86!(cells(sums, c, h));
    portable::cells(sums, c, h);
}
