//! Cortex-M0: a byte at a time, eight rows for each input, six of their sums in high registers.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use crate::arch::Quad;
use crate::format::layout::ROWS_PER_QUAD;

// A kernel's beginning: sums in r8 to r12, lr, r6 and r7. On the stack are the address of the inputs and,
// 8 bytes on, that of the sums; 48 bytes on that where the first block ends.
macro_rules! enter {
    () => {
        concat!(
            "push {{r4-r7, lr}}\n",
            "mov r4, r8\n",
            "mov r5, r9\n",
            "mov r6, r10\n",
            "mov r7, r11\n",
            "push {{r1-r7}}\n",
            "ldmia r3!, {{r4-r7}}\n",
            "mov r8, r4\n",
            "mov r9, r5\n",
            "mov r10, r6\n",
            "mov r11, r7\n",
            "ldmia r3!, {{r4-r7}}\n",
            "mov r12, r4\n",
            "mov lr, r5\n",
        )
    };
}

// A kernel's end: the sums are stored.
macro_rules! leave {
    () => {
        concat!(
            "ldr r0, [sp, #8]\n",
            "mov r2, r8\n",
            "mov r3, r9\n",
            "mov r4, r10\n",
            "mov r5, r11\n",
            "stmia r0!, {{r2-r5}}\n",
            "mov r4, r12\n",
            "mov r5, lr\n",
            "stmia r0!, {{r4-r7}}\n",
            "pop {{r1-r7}}\n",
            "mov r8, r4\n",
            "mov r9, r5\n",
            "mov r10, r6\n",
            "mov r11, r7\n",
            "pop {{r4-r7, pc}}\n",
        )
    };
}

// Calls a macro for each of the eight rows: its sum, where its word is, and what else it takes.
macro_rules! rows {
    ($row:ident, $($more:literal),+) => {
        concat!(
            $row!("r8", "r0, #0", $($more),+),
            $row!("r9", "r0, #4", $($more),+),
            $row!("r10", "r0, #8", $($more),+),
            $row!("r11", "r0, #12", $($more),+),
            $row!("r12", "r2, #0", $($more),+),
            $row!("lr", "r2, #4", $($more),+),
            $row!("r6", "r2, #8", $($more),+),
            $row!("r7", "r2, #12", $($more),+),
        )
    };
}

/// See [`Pair`](crate::arch::pairs::Pair).
#[unsafe(naked)]
pub(in crate::arch) unsafe extern "C" fn pair(
    first: *const Quad,
    inputs: *const u32,
    second: *const Quad,
    sums: &mut [[i32; ROWS_PER_QUAD]; 2],
    end: *const Quad,
) {
    // Two inputs r4 and r5, a weight r3.
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
    // Two columns, whose inputs are the halves of a word: their bytes in each row's word.
    macro_rules! columns {
        ($low:literal, $high:literal) => {
            concat!(
                "ldmia r1!, {{r4}}\n sxth r5, r4\n asrs r4, r4, #16\n",
                rows!(row, $low, "r5"),
                rows!(row, $high, "r4"),
            )
        };
    }
    naked_asm!(
        enter!(),
        "2:",
        columns!("0", "2"),
        columns!("1", "3"),
        "adds r0, #16",
        "adds r2, #16",
        "ldr r3, [sp, #48]",
        "cmp r0, r3",
        "bne 2b",
        leave!(),
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
    // Factors r4 and r5, a byte r1 and its upper half r3.
    macro_rules! row {
        ($sum:literal, $weights:literal, $byte:literal) => {
            concat!(
                "ldrb r1, [",
                $weights,
                " + ",
                $byte,
                "]\n",
                "lsrs r3, r1, #4\n",
                "muls r1, r4, r1\n",
                "add ",
                $sum,
                ", r1\n",
                "muls r3, r5, r3\n",
                "add ",
                $sum,
                ", r3\n",
            )
        };
    }
    // What makes inputs of the lower or upper halves of two words.
    macro_rules! lower {
        () => {
            "sxth r4, r4\n sxth r5, r5\n"
        };
    }
    macro_rules! upper {
        () => {
            "asrs r4, r4, #16\n asrs r5, r5, #16\n"
        };
    }
    // Two columns: the words and halves that their inputs are, what else to do with the inputs' address
    // r3, and their byte in each row's word.
    macro_rules! columns {
        ($low:literal, $high:literal, $half:ident, $more:literal, $byte:literal) => {
            concat!(
                "ldr r3, [sp]\n ldr r4, [r3, #",
                $low,
                "]\n ldr r5, [r3, #",
                $high,
                "]\n",
                $more,
                $half!(),
                "lsls r3, r4, #4\n subs r5, r5, r3\n",
                rows!(row, $byte),
            )
        };
    }
    naked_asm!(
        enter!(),
        "2:",
        columns!("0", "8", lower, "", "0"),
        columns!("0", "8", upper, "", "2"),
        columns!("4", "12", lower, "", "1"),
        columns!("4", "12", upper, "adds r3, #16\n str r3, [sp]\n", "3"),
        "adds r0, #16",
        "adds r2, #16",
        "ldr r3, [sp, #48]",
        "cmp r0, r3",
        // Too far back for a branch with a condition.
        "beq 3f",
        "b 2b",
        "3:",
        leave!(),
    )
}
