//! The way through blocks of weights, which AVX2 and AVX-512 share.
//!
//! Nothing here names an instruction: each function becomes part of a backend's, and is compiled with
//! the instructions of that.

use core::marker::PhantomData;
use core::mem::MaybeUninit;
use core::ops::Range;
use core::slice;

use bytemuck::Pod;

use crate::arch::Quad;
use crate::format::layout::{QUAD_BYTES, ROWS_PER_QUAD};

/// Blocks that share what is loaded of inputs, and whose sums are taken at once.
pub(super) const GROUP: usize = 4;
/// Quads whose inputs are spread at once: as many as leave half of the first cache to the weights.
pub(super) const QUADS_AT_ONCE: usize = 512;
/// Sums of the rows of a group's blocks.
pub(super) type GroupSums = [[i32; ROWS_PER_QUAD]; GROUP];

/// Weights of the same columns of several blocks.
#[derive(Clone, Copy)]
pub(super) struct Group<'w> {
    blocks: [*const Quad; GROUP],
    /// Quads that each pointer has.
    quads: usize,
    weights: PhantomData<&'w [Quad]>,
}

impl<'w> Group<'w> {
    /// These columns of blocks with `stride` quads each. Where there are fewer blocks than a group has,
    /// the last stands in for others. `None` if there is none, or if it doesn't have these columns.
    #[inline(always)]
    fn new(weights: &'w [Quad], stride: usize, columns: &Range<usize>) -> Option<Self> {
        let last = weights.len().checked_sub(stride)?;
        if columns.end > stride {
            return None;
        }
        let first = weights.as_ptr();
        let block = |number: usize| first.wrapping_add((number * stride).min(last) + columns.start);
        Some(Self {
            blocks: [block(0), block(1), block(2), block(3)],
            quads: columns.len(),
            weights: PhantomData,
        })
    }

    /// Takes the quads of each block with the inputs that belong to them, a register of each and `TURN`
    /// registers at a time. The last may have fewer quads, of which `part` makes a register with zeros,
    /// and registers that are missing in the last turn are zero.
    #[inline(always)]
    pub(super) fn each_turn<R: Pod, const Q: usize, const S: usize, const TURN: usize>(
        self,
        inputs: &[[R; S]],
        part: impl Fn(&[Quad]) -> R,
        mut take: impl FnMut([([R; GROUP], [R; S]); TURN]),
    ) {
        const { assert!(size_of::<R>() == Q * QUAD_BYTES) };
        let [a, b, c, d] = self.blocks;
        let zero = R::zeroed();
        let (turns, _) = inputs.as_chunks::<TURN>();
        let whole_turns = turns.len().min(self.quads / (Q * TURN));
        let whole = turns.get(..whole_turns).unwrap_or_default();
        for (turn, inputs) in whole.iter().enumerate() {
            let mut registers = [([zero; GROUP], [zero; S]); TURN];
            for (at, (place, inputs)) in registers.iter_mut().zip(inputs).enumerate() {
                let at = TURN * turn + at;
                // SAFETY: each block has the quads of all whole turns, and any bytes are a register.
                let load =
                    |block: *const Quad| unsafe { block.add(Q * at).cast::<R>().read_unaligned() };
                *place = ([load(a), load(b), load(c), load(d)], *inputs);
            }
            take(registers);
        }
        let rest = whole_turns * TURN;
        if Q * rest < self.quads {
            let mut registers = [([zero; GROUP], [zero; S]); TURN];
            let rest_of_inputs = inputs.get(rest..).unwrap_or_default();
            for (at, (place, inputs)) in registers.iter_mut().zip(rest_of_inputs).enumerate() {
                let from = (Q * (rest + at)).min(self.quads);
                // SAFETY: each block has so many quads.
                let part = |block: *const Quad| {
                    part(unsafe { slice::from_raw_parts(block.add(from), self.quads - from) })
                };
                *place = ([part(a), part(b), part(c), part(d)], *inputs);
            }
            take(registers);
        }
    }
}

/// Dot products of quads with inputs that were spread before: each 32 bits of them as often as quads
/// have rows. The shuffles would be as much work as the products of a block.
///
/// `R` is a register, `Q` the quads that it holds. `W` are the words of a quad's inputs, `S` the
/// registers of the inputs of `Q` quads, `PLACES` as many as [`QUADS_AT_ONCE`] have. `add` adds the
/// products of a group's blocks to the sums.
#[inline(always)]
pub(super) fn dot_spread<
    R: Pod,
    const Q: usize,
    const W: usize,
    const S: usize,
    const PLACES: usize,
>(
    weights: &[Quad],
    inputs: &[[u32; W]],
    sums: &mut [[i32; ROWS_PER_QUAD]],
    spread: impl Fn([[u32; W]; Q]) -> [R; S],
    add: impl Fn(Group<'_>, &[[R; S]], &mut GroupSums),
) {
    const { assert!(PLACES * Q == QUADS_AT_ONCE) };
    let quads = inputs.len();
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
        let first = QUADS_AT_ONCE * at;
        let columns = first..first + inputs.len();
        let mut weights = weights;
        let (groups, rest) = sums.as_chunks_mut::<GROUP>();
        for sums in groups {
            let (group, others) = weights.split_at_checked(GROUP * quads).unwrap_or_default();
            if let Some(group) = Group::new(group, quads, &columns) {
                add(group, spread, sums);
            }
            weights = others;
        }
        let group = weights.get(..rest.len() * quads).unwrap_or_default();
        if let Some(group) = Group::new(group, quads, &columns) {
            let mut more = [[0; ROWS_PER_QUAD]; GROUP];
            add(group, spread, &mut more);
            for (sums, more) in rest.iter_mut().zip(more) {
                for (sum, more) in sums.iter_mut().zip(more) {
                    *sum = sum.wrapping_add(more);
                }
            }
        }
    }
}
