//! Cortex-M0: a weight at a time, eight rows for each input, six of their sums in high registers.
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
    // Sums r8 to r12, lr, r6, r7; two inputs r4 and r5; a weight r3. The end is on the stack.
    macro_rules! row {
        ($sum:literal, $weight:literal, $byte:literal, $input:literal) => {
            concat!(
                "ldrb r3, [",
                $weight,
                " + ",
                $byte,
                "]\n",
                "muls r3, ",
                $input,
                ", r3\n",
                "add ",
                $sum,
                ", r3\n",
            )
        };
    }
    // A column: its input and its byte in each row's word.
    macro_rules! column {
        ($input:literal, $byte:literal) => {
            concat!(
                row!("r8", "r0, #0", $byte, $input),
                row!("r9", "r0, #4", $byte, $input),
                row!("r10", "r0, #8", $byte, $input),
                row!("r11", "r0, #12", $byte, $input),
                row!("r12", "r2, #0", $byte, $input),
                row!("lr", "r2, #4", $byte, $input),
                row!("r6", "r2, #8", $byte, $input),
                row!("r7", "r2, #12", $byte, $input),
            )
        };
    }
    // Two columns, whose inputs are the halves of a word.
    macro_rules! columns {
        ($low:literal, $high:literal) => {
            concat!(
                "ldmia r1!, {{r4}}\n sxth r5, r4\n asrs r4, r4, #16\n",
                column!("r5", $low),
                column!("r4", $high),
            )
        };
    }
    naked_asm!(
        "push {{r4-r7, lr}}",
        "mov r4, r8",
        "mov r5, r9",
        "mov r6, r10",
        "mov r7, r11",
        "push {{r3-r7}}",
        "ldmia r3!, {{r4-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "ldmia r3!, {{r4-r7}}",
        "mov r12, r4",
        "mov lr, r5",
        "2:",
        columns!("0", "2"),
        columns!("1", "3"),
        "adds r0, #16",
        "adds r2, #16",
        "ldr r3, [sp, #40]",
        "cmp r1, r3",
        "bne 2b",
        "ldr r0, [sp]",
        "mov r2, r8",
        "mov r3, r9",
        "mov r4, r10",
        "mov r5, r11",
        "stmia r0!, {{r2-r5}}",
        "mov r4, r12",
        "mov r5, lr",
        "stmia r0!, {{r4-r7}}",
        "pop {{r3-r7}}",
        "mov r8, r4",
        "mov r9, r5",
        "mov r10, r6",
        "mov r11, r7",
        "pop {{r4-r7, pc}}",
    )
}
