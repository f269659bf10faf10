//! AVX2, on desktops whose processor has it.

use core::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm_packs_epi16,
    _mm_packs_epi32, _mm_setzero_si128, _mm_unpackhi_epi64, _mm_unpacklo_epi64, _mm256_abs_epi32,
    _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256, _mm256_blend_epi16,
    _mm256_broadcastsi128_si256, _mm256_castsi256_si128, _mm256_cvtepu8_epi32,
    _mm256_extracti128_si256, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16,
    _mm256_max_epi32, _mm256_min_epi32, _mm256_min_epu32, _mm256_mulhi_epu16, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_sign_epi32, _mm256_slli_epi32, _mm256_sra_epi32, _mm256_srai_epi32, _mm256_srli_epi16,
    _mm256_srli_epi32, _mm256_sub_epi32, _mm256_unpackhi_epi32, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};
use core::mem::MaybeUninit;
use core::slice;
use core::sync::atomic::{AtomicU8, Ordering};

use bytemuck::must_cast;

use super::{Inputs, NibbleInputs, Operation, Quad, Scales, Shifts, StartValues, portable};
use crate::arithmetic::fixed::{C_BITS, GATE_BITS, H_BITS, ONE, SIGMOID, STEP_BITS, SUM_BITS};
use crate::format::layout::{COLUMN_ORDER, COLUMNS, ROWS_PER_QUAD};

/// What was selected; AVX2 only where the processor has it.
static SELECTED: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const PORTABLE: u8 = 1;
const AVX2: u8 = 2;

/// Whether AVX2 shall be used: where the processor has it, unless the portable code was selected.
#[inline]
pub(crate) fn selected() -> bool {
    // Every answer gives the same bits, so that threads need no order.
    match SELECTED.load(Ordering::Relaxed) {
        UNKNOWN => select_best(),
        selected => selected == AVX2,
    }
}

/// The first selection, unless another thread makes one meanwhile.
#[cold]
fn select_best() -> bool {
    let found = available();
    let best = if found { AVX2 } else { PORTABLE };
    let _ = SELECTED.compare_exchange(UNKNOWN, best, Ordering::Relaxed, Ordering::Relaxed);
    found
}

/// Selects AVX2, if the processor has it, or the portable code.
#[cfg(feature = "write")]
pub(crate) fn select(avx2: bool) {
    let selected = if avx2 && available() { AVX2 } else { PORTABLE };
    SELECTED.store(selected, Ordering::Relaxed);
}

cpufeatures::new!(avx2, "avx2");

/// Whether this processor has AVX2 and the system keeps its registers.
pub(crate) fn available() -> bool {
    avx2::get()
}

/// Runs an operation, whose loops the compiler vectorises with AVX2.
#[target_feature(enable = "avx2")]
pub(crate) fn run(operation: impl Operation) {
    operation.compute();
}

/// As [`portable::dot`], 32 weights with each instruction.
///
/// Of each pair of weights one instruction multiplies with a pair of inputs, and adds: the bytes of
/// columns 0 and 1 are 16-bit numbers once the others are masked, those of 2 and 3 once shifted.
#[target_feature(enable = "avx2")]
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    dot_spread::<2, 1, 256, 4>(
        weights,
        inputs,
        sums,
        |inputs| [spread(must_cast(inputs))],
        |blocks, inputs| byte_sums(blocks, inputs),
        |block, inputs| byte_sums(block, inputs),
    );
}

/// As [`portable::dot_nibbles`], 64 weights with each instruction.
#[target_feature(enable = "avx2")]
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    dot_spread::<4, 2, 256, 4>(
        weights,
        inputs,
        sums,
        |inputs| {
            let [first, second]: [__m128i; 2] = must_cast(inputs);
            [
                spread(_mm_unpacklo_epi64(first, second)),
                spread(_mm_unpackhi_epi64(first, second)),
            ]
        },
        |blocks, inputs| nibble_sums(blocks, inputs),
        |block, inputs| nibble_sums(block, inputs),
    );
}

/// Dot products of pairs of quads with inputs that were spread before: each 32 bits of them as often
/// as quads have rows. The shuffles would be as much work as the products of a block.
///
/// `W` are the words of a quad's inputs, `S` the registers of a pair's inputs, `PAIRS` how many are spread at
/// once: as many as leave half of the first cache to the weights. `G` blocks share what is loaded.
#[target_feature(enable = "avx2")]
#[inline]
fn dot_spread<'w, const W: usize, const S: usize, const PAIRS: usize, const G: usize>(
    weights: &'w [Quad],
    inputs: &[[u32; W]],
    sums: &mut [[i32; ROWS_PER_QUAD]],
    spread: impl Fn([[u32; W]; 2]) -> [__m256i; S],
    sums_of_group: impl Fn([&[Quad]; G], &[[__m256i; S]]) -> [__m128i; G],
    sums_of_block: impl Fn([&[Quad]; 1], &[[__m256i; S]]) -> [__m128i; 1],
) {
    let quads = inputs.len().max(1);
    let mut memory = [const { MaybeUninit::<[__m256i; S]>::uninit() }; PAIRS];
    for (at, inputs) in inputs.chunks(2 * PAIRS).enumerate() {
        let (pairs, last) = inputs.as_chunks::<2>();
        for (place, &pair) in memory.iter_mut().zip(pairs) {
            place.write(spread(pair));
        }
        if let ([last], Some(place)) = (last, memory.get_mut(pairs.len())) {
            place.write(spread([*last, [0; W]]));
        }
        // SAFETY: as many were written just now, one for each pair and one for the last.
        let spread =
            unsafe { slice::from_raw_parts(memory.as_ptr().cast(), pairs.len() + last.len()) };
        let columns = |block: &'w [Quad]| {
            let block = block.get(2 * PAIRS * at..).unwrap_or_default();
            block.get(..inputs.len()).unwrap_or_default()
        };
        let mut rest_of_weights = weights;
        let (groups, rest) = sums.as_chunks_mut::<G>();
        for sums in groups {
            let (group, rest) = rest_of_weights
                .split_at_checked(G * quads)
                .unwrap_or_default();
            rest_of_weights = rest;
            let mut blocks = [&[][..]; G];
            for (place, block) in blocks.iter_mut().zip(group.chunks_exact(quads)) {
                *place = columns(block);
            }
            for (sum, more) in sums.iter_mut().zip(sums_of_group(blocks, spread)) {
                *sum = must_cast(_mm_add_epi32(must_cast(*sum), more));
            }
        }
        for (sum, block) in rest.iter_mut().zip(rest_of_weights.chunks_exact(quads)) {
            let [more] = sums_of_block([columns(block)], spread);
            *sum = must_cast(_mm_add_epi32(must_cast(*sum), more));
        }
    }
}

/// The largest stored weight of a byte.
const MAX_BYTE: usize = 0x7f;
/// The largest magnitude of an input.
const LARGEST_INPUT: usize = 0x80;

/// The sums of the rows of some blocks, of weights of a byte.
///
/// One instruction multiplies 32 weights of 7 bits with as many inputs and adds pairs of products, in
/// 16 bits; another adds pairs of those.
#[target_feature(enable = "avx2")]
#[inline]
fn byte_sums<const N: usize>(blocks: [&[Quad]; N], inputs: &[[__m256i; 1]]) -> [__m128i; N] {
    const { assert!(2 * MAX_BYTE * LARGEST_INPUT < 1 << 15) };
    let mut totals = [_mm256_setzero_si256(); N];
    each_pair::<N, 1, 2>(blocks, inputs, |pairs| {
        for (weights, [inputs]) in pairs {
            for (total, weights) in totals.iter_mut().zip(weights) {
                let products = _mm256_maddubs_epi16(weights, inputs);
                *total = _mm256_add_epi32(*total, widened(products));
            }
        }
    });
    sums_of_halves(totals)
}

/// The same of weights of half a byte, the lower ones and the upper ones apart.
#[target_feature(enable = "avx2")]
#[inline]
fn nibble_sums<const N: usize>(blocks: [&[Quad]; N], inputs: &[[__m256i; 2]]) -> [__m128i; N] {
    /// Pairs of quads whose sums have 16 bits.
    const PAIRS: usize = 4;
    const { assert!(PAIRS * 4 * 0xf * LARGEST_INPUT < 1 << 15) };
    let mask = _mm256_set1_epi8(0xf);
    let mut totals = [_mm256_setzero_si256(); N];
    each_pair::<N, 2, PAIRS>(blocks, inputs, |pairs| {
        let mut sums = [_mm256_setzero_si256(); N];
        for (weights, [lower, upper]) in pairs {
            for (sum, weights) in sums.iter_mut().zip(weights) {
                let shifted = _mm256_srli_epi16::<4>(weights);
                let lower = _mm256_maddubs_epi16(_mm256_and_si256(weights, mask), lower);
                let upper = _mm256_maddubs_epi16(_mm256_and_si256(shifted, mask), upper);
                *sum = _mm256_add_epi16(_mm256_add_epi16(*sum, lower), upper);
            }
        }
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total = _mm256_add_epi32(*total, widened(sum));
        }
    });
    sums_of_halves(totals)
}

/// The sums of pairs of 16-bit numbers, in 32 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn widened(sums: __m256i) -> __m256i {
    _mm256_madd_epi16(sums, _mm256_set1_epi16(1))
}

/// Takes the pairs of quads of each block with the inputs that belong to them, `TURN` pairs at a time;
/// a last quad without another comes with zeros, and so do pairs that are missing in the last turn.
#[target_feature(enable = "avx2")]
#[inline]
fn each_pair<const N: usize, const S: usize, const TURN: usize>(
    blocks: [&[Quad]; N],
    inputs: &[[__m256i; S]],
    mut take: impl FnMut([([__m256i; N], [__m256i; S]); TURN]),
) {
    let mut shortest = usize::MAX;
    for block in blocks {
        shortest = shortest.min(block.len());
    }
    let zero = _mm256_setzero_si256();
    let (turns, _) = inputs.as_chunks::<TURN>();
    let whole_turns = turns.len().min(shortest / (2 * TURN));
    for (turn, inputs) in turns.iter().take(whole_turns).enumerate() {
        let mut pairs = [([zero; N], [zero; S]); TURN];
        for (at, (place, inputs)) in pairs.iter_mut().zip(inputs).enumerate() {
            for (pair, block) in place.0.iter_mut().zip(blocks) {
                // SAFETY: no block is shorter than the quads of all whole turns.
                *pair = unsafe {
                    let pair = block.as_ptr().add(2 * (TURN * turn + at));
                    _mm256_loadu_si256(pair.cast())
                };
            }
            place.1 = *inputs;
        }
        take(pairs);
    }
    let rest = whole_turns * TURN;
    if 2 * rest < shortest {
        let mut pairs = [([zero; N], [zero; S]); TURN];
        let rest_of_inputs = inputs.get(rest..).unwrap_or_default();
        for (at, (place, inputs)) in pairs.iter_mut().zip(rest_of_inputs).enumerate() {
            for (pair, block) in place.0.iter_mut().zip(blocks) {
                let quad = |at: usize| block.get(at).copied().unwrap_or_default();
                *pair = must_cast([quad(2 * (rest + at)), quad(2 * (rest + at) + 1)]);
            }
            place.1 = *inputs;
        }
        take(pairs);
    }
}

/// Where the bytes of `COLUMN_ORDER` stand among the lower ones of four 16-bit numbers.
const ORDER: [u8; COLUMNS] = [
    2 * COLUMN_ORDER[0] as u8,
    2 * COLUMN_ORDER[1] as u8,
    2 * COLUMN_ORDER[2] as u8,
    2 * COLUMN_ORDER[3] as u8,
];

/// Four inputs for each half, in the order of a row's weights, once for each row.
#[target_feature(enable = "avx2")]
#[inline]
fn spread(inputs: __m128i) -> __m256i {
    let [a, b, c, d] = ORDER;
    let first = [a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d];
    let second = first.map(|at| at + 8);
    let both = _mm256_broadcastsi128_si256(inputs);
    _mm256_shuffle_epi8(both, must_cast([first, second]))
}

#[target_feature(enable = "avx2")]
#[inline]
fn sums_of_halves<const N: usize>(totals: [__m256i; N]) -> [__m128i; N] {
    let mut sums = [_mm_setzero_si128(); N];
    for (sum, total) in sums.iter_mut().zip(totals) {
        let [first, second] = halves(total);
        *sum = _mm_add_epi32(first, second);
    }
    sums
}

/// As [`portable::values`], eight rows at a time.
#[target_feature(enable = "avx2")]
pub(crate) fn values(
    shifts: Shifts,
    scales: &[Scales],
    start: &[StartValues],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    let [first, second] = [shifts.first, shifts.second].map(|by| _mm_cvtsi32_si128(by as i32));
    let half = _mm256_set1_epi32((1 << shifts.second) >> 1);
    let (scales, last_scales) = scales.as_chunks::<2>();
    let (start, last_start) = start.as_chunks::<2>();
    let (sums, last_sums) = sums.as_chunks_mut::<2>();
    for ((sums, scales), start) in sums.iter_mut().zip(scales).zip(start) {
        // The pairs of a shifted sum and a start value times 256, both of 16 bits.
        let start = _mm_cvtsi64_si128(i64::from_le_bytes(must_cast(*start)));
        let start = _mm256_slli_epi32::<24>(_mm256_cvtepu8_epi32(start));
        let shifted = _mm256_sra_epi32(must_cast(*sums), first);
        let pairs = _mm256_blend_epi16::<0b1010_1010>(shifted, start);
        let scaled = _mm256_madd_epi16(pairs, must_cast(*scales));
        *sums = must_cast(_mm256_sra_epi32(_mm256_add_epi32(scaled, half), second));
    }
    portable::values(shifts, last_scales, last_start, last_sums);
}

/// Units whose cells are computed at once.
const UNITS: usize = 8;

/// As [`portable::cells`], eight units at a time.
#[target_feature(enable = "avx2")]
pub(crate) fn cells(sums: &[[i32; ROWS_PER_QUAD]], c: &mut [i32], h: &mut [i8]) {
    let (sums, last_sums) = sums.as_chunks::<UNITS>();
    let (c, last_c) = c.as_chunks_mut::<UNITS>();
    let (h, last_h) = h.as_chunks_mut::<UNITS>();
    for ((sums, c), h) in sums.iter().zip(c).zip(h) {
        (*c, *h) = eight_cells(sums, *c);
    }
    portable::cells(last_sums, last_c, last_h);
}

/// As [`cell::fixed`](crate::arithmetic::cell::fixed).
///
/// Activated gates have 15 bits and a sign: of such numbers, and zeros between them, `madd` makes
/// products of 32 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn eight_cells(sums: &[[i32; 4]; UNITS], c: [i32; UNITS]) -> ([i32; UNITS], [i8; UNITS]) {
    const H_SHIFT: i32 = (2 * GATE_BITS - H_BITS) as i32;
    let [i, f, g, o] = transpose(sums);
    let [i, f, o] = [i, f, o].map(|sums| sigmoid(sums));
    let tanh = |sums| {
        let sigmoid = sigmoid(double(sums));
        _mm256_sub_epi32(_mm256_add_epi32(sigmoid, sigmoid), _mm256_set1_epi32(ONE))
    };
    // (c * f) >> 16, the upper and the lower half of c apart.
    let c: __m256i = must_cast(c);
    let kept = _mm256_add_epi32(
        _mm256_madd_epi16(_mm256_srai_epi32::<16>(c), f),
        _mm256_mulhi_epu16(c, f),
    );
    let added = _mm256_madd_epi16(i, tanh(g));
    let added = _mm256_srai_epi32::<{ (2 * GATE_BITS - C_BITS) as i32 }>(added);
    let c = _mm256_add_epi32(_mm256_add_epi32(kept, kept), added);
    let squashed = tanh(_mm256_srai_epi32::<{ (C_BITS - SUM_BITS) as i32 }>(c));
    let product = _mm256_madd_epi16(o, squashed);
    let half = _mm256_set1_epi32(1 << (H_SHIFT - 1));
    let h = _mm256_srai_epi32::<H_SHIFT>(_mm256_add_epi32(product, half));
    let [low, high] = halves(h);
    let h = _mm_packs_epi32(low, high);
    let [h, _]: [[i8; UNITS]; 2] = must_cast(_mm_packs_epi16(h, h));
    (must_cast(c), h)
}

/// As [`fixed::sigmoid`](crate::arithmetic::fixed::sigmoid).
#[target_feature(enable = "avx2")]
#[inline]
fn sigmoid(sums: __m256i) -> __m256i {
    const STEP: i32 = STEP_BITS as i32;
    const { assert!(SIGMOID.len() >= (0x7fff >> STEP) + 2) };
    let limit = _mm256_set1_epi32(0x7fff);
    let magnitude = _mm256_min_epu32(_mm256_abs_epi32(sums), limit);
    let at: [u32; UNITS] = must_cast(_mm256_srli_epi32::<STEP>(magnitude));
    // One by one, which is faster than the instruction that gathers them.
    let entries: __m256i = must_cast(at.map(|at| {
        let entry = SIGMOID.as_ptr().wrapping_add(at as usize);
        // SAFETY: magnitudes have 15 bits, so that this entry and the next stand in the table: its
        // length is asserted above.
        unsafe { entry.cast::<u32>().read_unaligned() }
    }));
    let low = _mm256_and_si256(entries, _mm256_set1_epi32(0xffff));
    let high = _mm256_srli_epi32::<16>(entries);
    let fraction = _mm256_and_si256(magnitude, _mm256_set1_epi32((1 << STEP) - 1));
    let product = _mm256_madd_epi16(_mm256_sub_epi32(high, low), fraction);
    let half = _mm256_set1_epi32(1 << (STEP - 1));
    let rise = _mm256_srli_epi32::<STEP>(_mm256_add_epi32(product, half));
    let value = _mm256_add_epi32(low, rise);
    // The table holds sigmoid less 1/2, which is odd.
    _mm256_add_epi32(_mm256_sign_epi32(value, sums), _mm256_set1_epi32(ONE / 2))
}

/// What tanh gives to sigmoid: twice the sum, within 16 bits before.
#[target_feature(enable = "avx2")]
#[inline]
fn double(sums: __m256i) -> __m256i {
    let limit = _mm256_set1_epi32(0x7fff);
    let sums = _mm256_min_epi32(sums, limit);
    let sums = _mm256_max_epi32(sums, _mm256_sub_epi32(_mm256_setzero_si256(), limit));
    _mm256_add_epi32(sums, sums)
}

/// The lower and the upper half.
#[target_feature(enable = "avx2")]
#[inline]
fn halves(values: __m256i) -> [__m128i; 2] {
    [
        _mm256_castsi256_si128(values),
        _mm256_extracti128_si256::<1>(values),
    ]
}

/// The four gates of each unit as four gates of eight units.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose(&[a, b, c, d, e, f, g, h]: &[[i32; 4]; UNITS]) -> [__m256i; 4] {
    let [a, b, c, d] = [[a, e], [b, f], [c, g], [d, h]].map(must_cast);
    let (ab_01, ab_23) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd_01, cd_23) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(ab_01, cd_01),
        _mm256_unpackhi_epi64(ab_01, cd_01),
        _mm256_unpacklo_epi64(ab_23, cd_23),
        _mm256_unpackhi_epi64(ab_23, cd_23),
    ]
}
