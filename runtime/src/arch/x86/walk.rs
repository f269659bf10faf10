//! The way through blocks of weights, which AVX2 and AVX-512 share.
//!
//! Nothing here names an instruction: each function becomes part of a backend's, and is compiled with
//! the instructions of that.

use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
use core::mem::MaybeUninit;
use core::slice;

use bytemuck::Pod;

use crate::arch::Quad;
use crate::format::layout::{QUAD_BYTES, ROWS_PER_QUAD};

/// Blocks that share what is loaded of inputs, and whose sums are taken at once.
pub(super) const GROUP: usize = 4;
/// Quads whose inputs are spread at once: as many as leave half of the first cache to the weights.
pub(super) const QUADS_AT_ONCE: usize = 512;
/// How far before its use a weight is fetched: a tenth of the first cache. The caches' own guesses end
/// where a page does, and don't expect several blocks at once.
const AHEAD: usize = 4096;

/// Sums of the rows of a group's blocks.
pub(super) type GroupSums = [[i32; ROWS_PER_QUAD]; GROUP];

/// Dot products of quads with inputs that were spread before: each 32 bits of them as often as quads
/// have rows. The shuffles would be as much work as the products of a block.
///
/// `R` is a register, `Q` the quads that it holds. `W` are the words of a quad's inputs, `S` the
/// registers of the inputs of `Q` quads, `PLACES` as many as [`QUADS_AT_ONCE`] have. `add` adds the
/// products of a group's blocks to the sums.
#[inline(always)]
pub(super) fn dot_spread<
    'w,
    R: Pod,
    const Q: usize,
    const W: usize,
    const S: usize,
    const PLACES: usize,
>(
    weights: &'w [Quad],
    inputs: &[[u32; W]],
    sums: &mut [[i32; ROWS_PER_QUAD]],
    spread: impl Fn([[u32; W]; Q]) -> [R; S],
    add: impl Fn([&'w [Quad]; GROUP], &[[R; S]], &mut GroupSums),
) {
    const { assert!(PLACES * Q == QUADS_AT_ONCE) };
    let quads = inputs.len().max(1);
    let mut memory = [const { MaybeUninit::<[R; S]>::uninit() }; PLACES];
    for (at, inputs) in inputs.chunks(QUADS_AT_ONCE).enumerate() {
        let (whole, last) = inputs.as_chunks::<Q>();
        for (place, &inputs) in memory.iter_mut().zip(whole) {
            place.write(spread(inputs));
        }
        if !last.is_empty()
            && let Some(place) = memory.get_mut(whole.len())
        {
            let mut padded = [[0; W]; Q];
            for (padded, inputs) in padded.iter_mut().zip(last) {
                *padded = *inputs;
            }
            place.write(spread(padded));
        }
        let count = whole.len() + usize::from(!last.is_empty());
        // SAFETY: as many were written just now: there are no more inputs than places for them.
        let spread = unsafe { slice::from_raw_parts(memory.as_ptr().cast(), count) };
        let columns = |block: &'w [Quad]| {
            let block = block.get(QUADS_AT_ONCE * at..).unwrap_or_default();
            block.get(..inputs.len()).unwrap_or_default()
        };
        let mut blocks = weights.chunks_exact(quads).map(columns);
        let (groups, rest) = sums.as_chunks_mut::<GROUP>();
        for sums in groups {
            let mut next = || blocks.next().unwrap_or_default();
            add([next(), next(), next(), next()], spread, sums);
        }
        if let Some(first) = blocks.next() {
            // Where there are fewer, the first is computed again and the result left alone.
            let mut next = || blocks.next().unwrap_or(first);
            let mut padded = [[0; ROWS_PER_QUAD]; GROUP];
            for (padded, sums) in padded.iter_mut().zip(&*rest) {
                *padded = *sums;
            }
            add([first, next(), next(), next()], spread, &mut padded);
            for (sums, padded) in rest.iter_mut().zip(padded) {
                *sums = padded;
            }
        }
    }
}

/// Takes the quads of each block with the inputs that belong to them, a register of each and `TURN`
/// registers at a time. The last may have fewer quads, of which `part` makes a register with zeros,
/// and registers that are missing in the last turn are zero.
#[inline(always)]
pub(super) fn each_turn<R: Pod, const Q: usize, const S: usize, const TURN: usize>(
    blocks: [&[Quad]; GROUP],
    inputs: &[[R; S]],
    part: impl Fn(&[Quad]) -> R,
    mut take: impl FnMut([([R; GROUP], [R; S]); TURN]),
) {
    const { assert!(size_of::<R>() == Q * QUAD_BYTES) };
    let mut shortest = usize::MAX;
    for block in blocks {
        shortest = shortest.min(block.len());
    }
    let [start, ..] = blocks.map(<[Quad]>::as_ptr);
    let zero = R::zeroed();
    let (turns, _) = inputs.as_chunks::<TURN>();
    let whole_turns = turns.len().min(shortest / (Q * TURN));
    for (turn, inputs) in turns.iter().take(whole_turns).enumerate() {
        let mut registers = [([zero; GROUP], [zero; S]); TURN];
        for (at, (place, inputs)) in registers.iter_mut().zip(inputs).enumerate() {
            let at = TURN * turn + at;
            for (number, (weights, block)) in place.0.iter_mut().zip(blocks).enumerate() {
                // Blocks follow each other, so that this is as far ahead as all of the group have come.
                let ahead = start
                    .wrapping_add(Q * (GROUP * at + number))
                    .wrapping_byte_add(AHEAD);
                // SAFETY: what is fetched may lie anywhere.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(ahead.cast()) };
                // SAFETY: no block is shorter than the quads of all whole turns, and any bytes are a
                // register.
                *weights = unsafe { block.as_ptr().add(Q * at).cast::<R>().read_unaligned() };
            }
            place.1 = *inputs;
        }
        take(registers);
    }
    let rest = whole_turns * TURN;
    if Q * rest < shortest {
        let mut registers = [([zero; GROUP], [zero; S]); TURN];
        let rest_of_inputs = inputs.get(rest..).unwrap_or_default();
        for (at, (place, inputs)) in registers.iter_mut().zip(rest_of_inputs).enumerate() {
            for (weights, block) in place.0.iter_mut().zip(blocks) {
                *weights = part(block.get(Q * (rest + at)..).unwrap_or_default());
            }
            place.1 = *inputs;
        }
        take(registers);
    }
}
