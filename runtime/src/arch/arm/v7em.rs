//! Cortex-M4, M7, M33 and others with DSP instructions: two products with each instruction.
#![allow(unsafe_code)]

use core::arch::asm;

use super::blocks::each_block;
use crate::arch::{Inputs, NibbleInputs, Quad, Scales, Shifts, StartValues};
use crate::format::layout::ROWS_PER_QUAD;

/// What [`portable::dot`](crate::arch::portable::dot) computes.
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    let words = size_of::<Inputs>() / size_of::<u32>();
    // SAFETY: these are the inputs of all quads, as the kernel takes them.
    unsafe { each_block(weights, inputs.as_flattened(), words, sums, block) };
}

/// What [`portable::dot_nibbles`](crate::arch::portable::dot_nibbles) computes.
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    let words = size_of::<NibbleInputs>() / size_of::<u32>();
    // SAFETY: as above.
    unsafe { each_block(weights, inputs.as_flattened(), words, sums, block_nibbles) };
}

// Runs a kernel that has all registers: weights r0, inputs r1, their end r3, sums r4 to r7. The addresses
// of the sums and of the inputs' end are on the stack too. LLVM keeps r6 and r7 for itself: they are saved.
macro_rules! with_sums {
    ($weights:ident, $inputs:ident, $sums:ident, $end:ident, $($code:expr),+ $(,)?) => {
        asm!(
            "push {{r2, r3, r6, r7}}",
            "ldm r2, {{r4-r7}}",
            $($code,)+
            "pop {{r2, r3}}",
            "stm r2, {{r4-r7}}",
            "pop {{r6, r7}}",
            inout("r0") $weights => _,
            inout("r1") $inputs => _,
            inout("r2") $sums.as_mut_ptr() => _,
            inout("r3") $end => _,
            out("r4") _,
            out("r5") _,
            out("r8") _,
            out("r9") _,
            out("r10") _,
            out("r11") _,
            out("r12") _,
            out("lr") _,
        )
    };
}

/// See [`Block`](super::blocks::Block).
#[inline(never)]
unsafe extern "C" fn block(
    weights: *const Quad,
    inputs: *const u32,
    sums: &mut [i32; ROWS_PER_QUAD],
    end: *const u32,
) {
    // Weights of four rows r8 to r11, inputs r2 and r3, bytes of inputs left lr.
    macro_rules! quad {
        () => {
            "
            ldrd r2, r3, [r1], #8
            ldmia r0!, {{r8-r11}}
            uxtb16 r12, r8
            smlad r4, r12, r2, r4
            uxtb16 r8, r8, ror #8
            smlad r4, r8, r3, r4
            uxtb16 r12, r9
            smlad r5, r12, r2, r5
            uxtb16 r9, r9, ror #8
            smlad r5, r9, r3, r5
            uxtb16 r12, r10
            smlad r6, r12, r2, r6
            uxtb16 r10, r10, ror #8
            smlad r6, r10, r3, r6
            uxtb16 r12, r11
            smlad r7, r12, r2, r7
            uxtb16 r11, r11, ror #8
            smlad r7, r11, r3, r7
            "
        };
    }
    // SAFETY: it reads the inputs before the end, of which the caller says that there are some, as many
    // weights, and reads and writes the sums.
    unsafe {
        with_sums!(
            weights,
            inputs,
            sums,
            end,
            "sub lr, r3, r1",
            // One quad at a time until those left are a multiple of four.
            "2:",
            "tst lr, #24",
            "beq 3f",
            quad!(),
            "sub lr, #8",
            "b 2b",
            "3:",
            "cmp lr, #0",
            "beq 5f",
            "4:",
            quad!(),
            quad!(),
            quad!(),
            quad!(),
            "subs lr, #32",
            "bne 4b",
            "5:",
        );
    }
}

/// See [`Block`](super::blocks::Block).
///
/// Masked, and shifted with the same instruction, a row's word is the weights of two columns, one in
/// each half, as smlad takes them.
#[inline(never)]
unsafe extern "C" fn block_nibbles(
    weights: *const Quad,
    inputs: *const u32,
    sums: &mut [i32; ROWS_PER_QUAD],
    end: *const u32,
) {
    // Inputs r8 to r11, weights of two rows r2 and r3, the mask r12, two weights lr.
    macro_rules! columns {
        ($sum:literal, $inputs:literal, $($weights:literal),+) => {
            concat!(
                "and lr, r12, ", $($weights,)+ "\n",
                "smlad ", $sum, ", lr, ", $inputs, ", ", $sum, "\n",
            )
        };
    }
    macro_rules! row {
        ($sum:literal, $weights:literal) => {
            concat!(
                columns!($sum, "r8", $weights),
                columns!($sum, "r9", $weights, ", lsr #8"),
                columns!($sum, "r10", $weights, ", lsr #4"),
                columns!($sum, "r11", $weights, ", lsr #12"),
            )
        };
    }
    macro_rules! quad {
        () => {
            concat!(
                "ldmia r1!, {{r8-r11}}\n",
                "ldrd r2, r3, [r0], #8\n",
                row!("r4", "r2"),
                row!("r5", "r3"),
                "ldrd r2, r3, [r0], #8\n",
                row!("r6", "r2"),
                row!("r7", "r3"),
            )
        };
    }
    // SAFETY: as above.
    unsafe {
        with_sums!(
            weights,
            inputs,
            sums,
            end,
            "mov r12, #0x000f000f",
            // The loop takes two quads; it starts with the second where their number is odd.
            "sub r3, r1",
            "tst r3, #16",
            "bne 3f",
            "2:",
            quad!(),
            "3:",
            quad!(),
            "ldr r2, [sp, #4]",
            "cmp r1, r2",
            "bne 2b",
        );
    }
}

/// What [`portable::values`](crate::arch::portable::values) computes.
pub(crate) fn values(
    shifts: Shifts,
    scales: &[Scales],
    start: &[StartValues],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    let blocks = sums.len().min(scales.len()).min(start.len());
    if blocks == 0 {
        return;
    }
    // A row's shifted sum and, above it, its start value times 2^8, times both of its multipliers.
    macro_rules! row {
        ($start:literal, $shift:literal) => {
            concat!(
                "ldr {sum}, [{sums}]\n",
                "ldr {scale}, [{scales}], #4\n",
                "asr {sum}, {sum}, {first}\n",
                "pkhbt {sum}, {sum}, ",
                $start,
                ", lsl #",
                $shift,
                "\n",
                "smlad {sum}, {sum}, {scale}, {half}\n",
                "asr {sum}, {sum}, {second}\n",
                "str {sum}, [{sums}], #4\n",
            )
        };
    }
    // SAFETY: it reads the scales and start values of as many blocks as there are, and reads and
    // writes their sums; these chips load words from any address.
    unsafe {
        asm!(
            "2:",
            "ldr {even}, [{start}], #4",
            "and {odd}, {even}, #0xff00ff00",
            "and {even}, {even}, #0x00ff00ff",
            row!("{even}", "24"),
            row!("{odd}", "16"),
            row!("{even}", "8"),
            row!("{odd}", "0"),
            "cmp {sums}, {end}",
            "bne 2b",
            sums = inout(reg) sums.as_mut_ptr() => _,
            end = in(reg) sums.as_mut_ptr().wrapping_add(blocks),
            scales = inout(reg) scales.as_ptr() => _,
            start = inout(reg) start.as_ptr() => _,
            first = in(reg) shifts.first,
            second = in(reg) shifts.second,
            half = in(reg) (1 << shifts.second) >> 1,
            sum = out(reg) _,
            scale = out(reg) _,
            even = out(reg) _,
            odd = out(reg) _,
            options(nostack),
        );
    }
}
