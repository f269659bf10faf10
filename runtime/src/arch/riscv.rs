//! RISC-V of 32 bits with multiplications and compressed instructions, RV32IMC: two products with each
//! multiplication, eight rows for each pair of factors.
#![allow(unsafe_code)]

use core::arch::naked_asm;

use bytemuck::must_cast_ref;

use super::{Inputs, Quad};
use crate::format::layout::{COLUMNS, ROWS_PER_QUAD};

/// See [`Pair`](super::pairs::Pair); inputs are [packed](super::packed).
///
/// # Safety
/// As for [`Pair`](super::pairs::Pair).
pub(super) unsafe extern "C" fn pair(
    first: *const Quad,
    inputs: *const u32,
    second: *const Quad,
    sums: &mut [[i32; ROWS_PER_QUAD]; 2],
    end: *const Quad,
) {
    if first.cast::<u32>().is_aligned() && second.cast::<u32>().is_aligned() {
        // SAFETY: these are the caller's blocks, and aligned.
        return unsafe { aligned_pair(first, inputs, second, sums, end) };
    }
    let mut quads = (first, second);
    let mut inputs = inputs.cast::<Inputs>();
    while quads.0 != end {
        // SAFETY: both blocks have as many quads, and there are inputs for each.
        let blocks = unsafe { [&*quads.0, &*quads.1] };
        // Word by word: a copy of 16 bytes would be made with memcpy.
        let words = blocks.map(|quad| {
            let rows: &[[u8; COLUMNS]; ROWS_PER_QUAD] = must_cast_ref(quad);
            let [a, b, c, d] = rows;
            [a, b, c, d].map(|&row| u32::from_le_bytes(row))
        });
        let [first, second] = words.each_ref().map(|words| words.as_ptr_range());
        // SAFETY: they are one quad of each block, in words now, and its inputs.
        unsafe {
            let second = second.start.cast();
            aligned_pair(
                first.start.cast(),
                inputs.cast(),
                second,
                sums,
                first.end.cast(),
            );
        }
        // SAFETY: at most the ends of the blocks and of the inputs.
        unsafe {
            quads = (quads.0.add(1), quads.1.add(1));
            inputs = inputs.add(1);
        }
    }
}

/// The same for blocks that are aligned to words.
///
/// # Safety
/// As for [`Pair`](super::pairs::Pair).
#[unsafe(naked)]
unsafe extern "C" fn aligned_pair(
    first: *const Quad,
    inputs: *const u32,
    second: *const Quad,
    sums: &mut [[i32; ROWS_PER_QUAD]; 2],
    end: *const Quad,
) {
    // Calls a macro for each of the eight rows: its sum, and the places of its sum and its word.
    macro_rules! rows {
        ($row:ident) => {
            concat!(
                $row!("t0", "0", "0(a0)"),
                $row!("t1", "4", "4(a0)"),
                $row!("t2", "8", "8(a0)"),
                $row!("t3", "12", "12(a0)"),
                $row!("t4", "16", "0(a2)"),
                $row!("t5", "20", "4(a2)"),
                $row!("t6", "24", "8(a2)"),
                $row!("a6", "28", "12(a2)"),
            )
        };
    }
    macro_rules! load {
        ($sum:literal, $place:literal, $word:literal) => {
            concat!("lw ", $sum, ", ", $place, "(a3)\n")
        };
    }
    // A row's word a5 and its odd half s0; the mask s1, factors a7 and s2, what the bias adds s3.
    macro_rules! row {
        ($sum:literal, $place:literal, $word:literal) => {
            concat!(
                "lw a5, ",
                $word,
                "\n",
                "srli s0, a5, 8\n",
                "and s0, s0, s1\n",
                "mul a5, a5, a7\n",
                "mul s0, s0, s2\n",
                "add a5, a5, s0\n",
                "add a5, a5, s3\n",
                "srai a5, a5, 16\n",
                "add ",
                $sum,
                ", ",
                $sum,
                ", a5\n",
            )
        };
    }
    // The sum of a row with no bits s4.
    macro_rules! store {
        ($sum:literal, $place:literal, $word:literal) => {
            concat!(
                "sub ", $sum, ", ", $sum, ", s4\n", "sw ", $sum, ", ", $place, "(a3)\n",
            )
        };
    }
    naked_asm!(
        // A naked function doesn't know what the target has.
        ".option push",
        ".option arch, +m, +c",
        "addi sp, sp, -32",
        "sw s0, 0(sp)",
        "sw s1, 4(sp)",
        "sw s2, 8(sp)",
        "sw s3, 12(sp)",
        "sw s4, 16(sp)",
        "sw s5, 20(sp)",
        "sw s6, 24(sp)",
        "sw s7, 28(sp)",
        rows!(load),
        "li s1, 0x00ff00ff",
        "li s4, 0",
        // A row of nothing but the bias, negative, and what rounds.
        "li s5, -0x40404040",
        "li s6, -0x00400040",
        "li s7, -0x8000",
        "2:",
        "lw a7, 0(a1)",
        "lw s2, 4(a1)",
        "mul s3, a7, s5",
        "mul s0, s2, s6",
        "add s3, s3, s0",
        "add s3, s3, s7",
        "srai s0, s3, 16",
        "add s4, s4, s0",
        rows!(row),
        "addi a0, a0, 16",
        "addi a1, a1, 8",
        "addi a2, a2, 16",
        "bne a0, a4, 2b",
        rows!(store),
        "lw s0, 0(sp)",
        "lw s1, 4(sp)",
        "lw s2, 8(sp)",
        "lw s3, 12(sp)",
        "lw s4, 16(sp)",
        "lw s5, 20(sp)",
        "lw s6, 24(sp)",
        "lw s7, 28(sp)",
        "addi sp, sp, 32",
        "ret",
        ".option pop",
    )
}
