//! Which blocks and quads a kernel takes at once.

use core::arch::aarch64::{int8x16_t, int8x16x2_t, int32x4_t, uint8x16_t, vaddq_s32, vqtbl2q_s8};
use core::array;

use bytemuck::must_cast;

use crate::arch::Quad;
use crate::format::layout::{COLUMN_ORDER, COLUMNS, QUAD_BYTES, ROWS_PER_QUAD};

/// The lower bytes of 16 inputs, each four in the order of a row's weights.
#[target_feature(enable = "neon")]
#[inline]
pub(super) fn lower_bytes([first, second]: [int8x16_t; 2]) -> int8x16_t {
    const ORDER: [[u8; COLUMNS]; 4] = [order_of(0), order_of(1), order_of(2), order_of(3)];
    const fn order_of(quad: usize) -> [u8; COLUMNS] {
        let [a, b, c, d] = COLUMN_ORDER;
        let first = COLUMNS * quad;
        [
            2 * (first + a) as u8,
            2 * (first + b) as u8,
            2 * (first + c) as u8,
            2 * (first + d) as u8,
        ]
    }
    vqtbl2q_s8(int8x16x2_t(first, second), must_cast(ORDER))
}

/// Adds to the sums of every block what a kernel makes of it: of `G` blocks, which share what is made
/// of an input, or of one of those that are left.
#[target_feature(enable = "neon")]
#[inline]
pub(super) fn add_blocks<const W: usize, const G: usize>(
    mut weights: &[Quad],
    inputs: &[[u32; W]],
    sums: &mut [[i32; ROWS_PER_QUAD]],
    sums_of_group: impl Fn(&[Quad], &[[u32; W]]) -> [int32x4_t; G],
    sums_of_block: impl Fn(&[Quad], &[[u32; W]]) -> [int32x4_t; 1],
) {
    let quads = inputs.len().max(1);
    let (groups, rest) = sums.as_chunks_mut::<G>();
    for sums in groups {
        let (group, rest) = weights.split_at_checked(G * quads).unwrap_or_default();
        weights = rest;
        for (sum, more) in sums.iter_mut().zip(sums_of_group(group, inputs)) {
            *sum = must_cast(vaddq_s32(must_cast(*sum), more));
        }
    }
    for (sum, block) in rest.iter_mut().zip(weights.chunks_exact(quads)) {
        let [more] = sums_of_block(block, inputs);
        *sum = must_cast(vaddq_s32(must_cast(*sum), more));
    }
}

/// Takes the quads of `N` blocks with the inputs that belong to them: `TURN` quads of each at a time,
/// and one by one those that are left.
#[inline(always)]
pub(super) fn each_quad<T, const N: usize, const W: usize, const TURN: usize>(
    totals: &mut [T; N],
    blocks: &[Quad],
    inputs: &[[u32; W]],
    take_turn: impl Fn(&mut [T; N], [[uint8x16_t; N]; TURN], &[[u32; W]; TURN]),
    take_quad: impl Fn(&mut [T; N], [uint8x16_t; N], [u32; W]),
) {
    let quads = inputs.len();
    if blocks.len() < N * quads {
        return;
    }
    let quad_of_each = |at: usize| {
        let mut weights = [must_cast([0u8; QUAD_BYTES]); N];
        for (block, weights) in weights.iter_mut().enumerate() {
            // SAFETY: each of the blocks has as many quads as there are inputs.
            *weights = must_cast(unsafe { *blocks.as_ptr().add(block * quads + at) });
        }
        weights
    };
    let (turns, last) = inputs.as_chunks::<TURN>();
    for (turn, inputs) in turns.iter().enumerate() {
        let weights = array::from_fn(|at| quad_of_each(turn * TURN + at));
        take_turn(totals, weights, inputs);
    }
    for (at, inputs) in last.iter().enumerate() {
        take_quad(totals, quad_of_each(turns.len() * TURN + at), *inputs);
    }
}
