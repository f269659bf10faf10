//! Cortex-M3, and Cortex-M33 without DSP instructions: a weight at a time, eight rows for each input.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::{Quad, pairs};
use crate::layout::{COLUMNS, ROWS_PER_QUAD};

/// What the portable kernel computes.
pub(crate) fn dot(weights: &[Quad], inputs: &[[i16; COLUMNS]], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    pairs::dot(weights, inputs, sums, pair);
}

/// See [`pairs::Pair`].
#[unsafe(naked)]
unsafe extern "C" fn pair(
    first: *const Quad,
    inputs: *const [i16; COLUMNS],
    second: *const Quad,
    sums: &mut [[i32; ROWS_PER_QUAD]; 2],
    end: *const [i16; COLUMNS],
) {
    // Sums r4 to r11, an input r3, a weight r12, the end lr.
    macro_rules! row {
        ($sum:literal, $($weight:literal),+) => {
            concat!("ldrb r12, ", $($weight,)+ "\n mla ", $sum, ", r12, r3, ", $sum, "\n")
        };
    }
    // A column: its input, its byte in each row's word, and where the words of rows 0 and 4 are.
    macro_rules! column {
        ($input:literal, $byte:literal, $row0:literal, $row4:literal) => {
            concat!(
                "ldrsh r3, ",
                $input,
                "\n",
                row!("r5", "[r0, #4 + ", $byte, "]"),
                row!("r6", "[r0, #8 + ", $byte, "]"),
                row!("r7", "[r0, #12 + ", $byte, "]"),
                row!("r9", "[r2, #4 + ", $byte, "]"),
                row!("r10", "[r2, #8 + ", $byte, "]"),
                row!("r11", "[r2, #12 + ", $byte, "]"),
                row!("r4", $row0),
                row!("r8", $row4),
            )
        };
    }
    naked_asm!(
        "push {{r3-r11, lr}}",
        "ldr lr, [sp, #40]",
        "ldm r3, {{r4-r11}}",
        "2:",
        column!("[r1, #2]", "2", "[r0, #2]", "[r2, #2]"),
        column!("[r1, #4]", "1", "[r0, #1]", "[r2, #1]"),
        column!("[r1, #6]", "3", "[r0, #3]", "[r2, #3]"),
        // The last to use the pointers moves them on.
        column!("[r1], #8", "0", "[r0], #16", "[r2], #16"),
        "cmp r1, lr",
        "bne 2b",
        "pop {{r3}}",
        "stm r3, {{r4-r11}}",
        "pop {{r4-r11, pc}}",
    )
}
