//! Cortex-M3, and Cortex-M33 without DSP instructions: two products with each multiplication. Of weights of half a
//! byte a byte at a time, eight rows for each input.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use super::blocks::each_block;
use crate::arch::{Inputs, Quad};
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

/// What [`portable::dot`](crate::arch::portable::dot) computes, of inputs that are [packed](crate::arch::packed).
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    let words = size_of::<Inputs>() / size_of::<u32>();
    // SAFETY: these are the inputs of all quads, as the kernel takes them.
    unsafe { each_block(weights, inputs.as_flattened(), words, sums, block) };
}

/// See [`Block`](super::blocks::Block).
#[unsafe(naked)]
unsafe extern "C" fn block(
    weights: *const Quad,
    inputs: *const u32,
    sums: &mut [i32; ROWS_PER_QUAD],
    end: *const u32,
) {
    // A row's word r12 and its odd half lr; the mask r10, factors r2 and r8, what the bias adds r9.
    macro_rules! row {
        ($sum:literal) => {
            concat!(
                "ldr r12, [r0], #4\n",
                "and lr, r10, r12, lsr #8\n",
                "mla r12, r12, r2, r9\n",
                "mla lr, lr, r8, r12\n",
                "add ",
                $sum,
                ", ",
                $sum,
                ", lr, asr #16\n",
            )
        };
    }
    naked_asm!(
        "push {{r2, r4-r11, lr}}",
        "ldm r2, {{r4-r7}}",
        "mov r10, #0x00ff00ff",
        "mov r11, #0",
        "2:",
        "ldrd r2, r8, [r1], #8",
        // Less a row of nothing but the bias, and what rounds.
        "add r9, r2, r2, lsl #8",
        "add r9, r9, r8",
        "add r9, r9, r9, lsl #16",
        "mvn r9, r9, lsl #6",
        "sub r9, #0x8000",
        // The sum of a row with no bits, negative.
        "sub r11, r11, r9, asr #16",
        row!("r4"),
        row!("r5"),
        row!("r6"),
        row!("r7"),
        "cmp r1, r3",
        "bne 2b",
        "pop {{r2}}",
        "add r4, r11",
        "add r5, r11",
        "add r6, r11",
        "add r7, r11",
        "stm r2, {{r4-r7}}",
        "pop {{r4-r11, pc}}",
    )
}

/// See [`Pair`](crate::arch::pairs::Pair), and [`pairs`](crate::arch::pairs) for what the factors are.
#[unsafe(naked)]
pub(in crate::arch) unsafe extern "C" fn pair_nibbles(
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
