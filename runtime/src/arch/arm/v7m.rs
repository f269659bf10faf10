//! Cortex-M3, and Cortex-M33 without DSP instructions: a byte at a time, eight rows for each input.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::arch::Quad;
use crate::format::layout::ROWS_PER_QUAD;

// Calls a macro for each of the eight rows: its sum, and where its byte is. Rows 0 and 4 come last, so that
// they can move the pointers on.
macro_rules! rows {
    ($row:ident, $byte:literal, $row0:literal, $row4:literal) => {
        concat!(
            $row!("r5", "[r0, #4 + ", $byte, "]"),
            $row!("r6", "[r0, #8 + ", $byte, "]"),
            $row!("r7", "[r0, #12 + ", $byte, "]"),
            $row!("r9", "[r2, #4 + ", $byte, "]"),
            $row!("r10", "[r2, #8 + ", $byte, "]"),
            $row!("r11", "[r2, #12 + ", $byte, "]"),
            $row!("r4", $row0),
            $row!("r8", $row4),
        )
    };
}

/// See [`Pair`](super::pairs::Pair).
#[unsafe(naked)]
pub(super) unsafe extern "C" fn pair(
    first: *const Quad,
    inputs: *const u32,
    second: *const Quad,
    sums: &mut [[i32; ROWS_PER_QUAD]; 2],
    end: *const Quad,
) {
    // Sums r4 to r11, an input r3, a weight r12; the first block ends at lr.
    macro_rules! row {
        ($sum:literal, $($weight:literal),+) => {
            concat!("ldrb r12, ", $($weight,)+ "\n mla ", $sum, ", r12, r3, ", $sum, "\n")
        };
    }
    // A column: its input, its byte in each row's word, and where the words of rows 0 and 4 are.
    macro_rules! column {
        ($input:literal, $byte:literal, $row0:literal, $row4:literal) => {
            concat!("ldrsh r3, ", $input, "\n", rows!(row, $byte, $row0, $row4),)
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
        "cmp r0, lr",
        "bne 2b",
        "pop {{r3}}",
        "stm r3, {{r4-r11}}",
        "pop {{r4-r11, pc}}",
    )
}

/// See [`Pair`](super::pairs::Pair), and [`pairs`](super::pairs) for what the factors are.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn pair_nibbles(
    first: *const Quad,
    inputs: *const u32,
    second: *const Quad,
    sums: &mut [[i32; ROWS_PER_QUAD]; 2],
    end: *const Quad,
) {
    // Sums r4 to r11, factors r12 and lr, a byte or its upper half r3. Where the first block ends is on
    // the stack.
    macro_rules! row {
        ($sum:literal, $($byte:literal),+) => {
            concat!(
                "ldrb r3, ", $($byte,)+ "\n",
                "mla ", $sum, ", r3, r12, ", $sum, "\n",
                "lsrs r3, r3, #4\n",
                "mla ", $sum, ", r3, lr, ", $sum, "\n",
            )
        };
    }
    // Two columns: their inputs, their byte in each row's word, and where the words of rows 0 and 4 are.
    macro_rules! columns {
        ($low:literal, $high:literal, $byte:literal, $row0:literal, $row4:literal) => {
            concat!(
                "ldrsh lr, ",
                $high,
                "\n ldrsh r12, ",
                $low,
                "\n sub lr, lr, r12, lsl #4\n",
                rows!(row, $byte, $row0, $row4),
            )
        };
    }
    naked_asm!(
        "push {{r3-r11, lr}}",
        "ldm r3, {{r4-r11}}",
        "2:",
        columns!("[r1, #2]", "[r1, #10]", "2", "[r0, #2]", "[r2, #2]"),
        columns!("[r1, #4]", "[r1, #12]", "1", "[r0, #1]", "[r2, #1]"),
        columns!("[r1, #6]", "[r1, #14]", "3", "[r0, #3]", "[r2, #3]"),
        // The last to use the pointers moves them on.
        columns!("[r1], #16", "[r1, #8]", "0", "[r0], #16", "[r2], #16"),
        "ldr r3, [sp, #40]",
        "cmp r0, r3",
        "bne 2b",
        "pop {{r3}}",
        "stm r3, {{r4-r11}}",
        "pop {{r4-r11, pc}}",
    )
}
