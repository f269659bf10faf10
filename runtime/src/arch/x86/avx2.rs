//! AVX2: 256 bits at a time.

use bytemuck::must_cast;
use core::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_cvtsi32_si128, _mm_cvtsi64_si128, _mm_packs_epi16,
    _mm_packs_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi64, _mm256_abs_epi32, _mm256_add_epi16,
    _mm256_add_epi32, _mm256_and_si256, _mm256_blend_epi16, _mm256_broadcastsi128_si256,
    _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtepu8_epi32, _mm256_extracti128_si256,
    _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_max_epi32, _mm256_min_epi32, _mm256_min_epu32,
    _mm256_mulhi_epu16, _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_sign_epi32, _mm256_slli_epi32,
    _mm256_sra_epi32, _mm256_srai_epi32, _mm256_srli_epi16, _mm256_srli_epi32, _mm256_sub_epi32,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
};

use super::walk::{self, GROUP, Group, GroupSums, QUADS_AT_ONCE};
use crate::arch::{Inputs, NibbleInputs, Operation, Quad, Scales, Shifts, StartValues, portable};
use crate::arithmetic::fixed::{C_BITS, GATE_BITS, H_BITS, ONE, SIGMOID, STEP_BITS, SUM_BITS};
use crate::format::layout::{COLUMN_ORDER, COLUMNS, ROWS_PER_QUAD};

/// Runs an operation, whose loops the compiler vectorises with AVX2.
#[target_feature(enable = "avx2")]
pub(crate) fn run(operation: impl Operation) {
    operation.compute();
}

/// As [`portable::widen`], sixteen inputs at a time.
#[target_feature(enable = "avx2")]
pub(crate) fn widen(inputs: &[i8], words: &mut [u32]) -> i32 {
    let (whole_inputs, _) = inputs.as_chunks::<16>();
    let (whole_words, last_words) = words.as_chunks_mut::<8>();
    let mut totals = _mm256_setzero_si256();
    for (words, inputs) in whole_words.iter_mut().zip(whole_inputs) {
        let wide = _mm256_cvtepi8_epi16(must_cast(*inputs));
        totals = _mm256_add_epi32(totals, widened(wide));
        *words = must_cast(wide);
    }
    let last_inputs = inputs.get(16 * whole_words.len()..).unwrap_or_default();
    let totals: [i32; 8] = must_cast(totals);
    totals.iter().sum::<i32>() + portable::widen(last_inputs, last_words)
}

/// As [`portable::dot`], 32 weights with each instruction.
#[target_feature(enable = "avx2")]
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    walk::dot_spread::<_, QUADS, 2, 1, PLACES>(
        weights,
        inputs,
        sums,
        |inputs| [spread(must_cast(inputs))],
        |group, inputs, sums| add_bytes(group, inputs, sums),
    );
}

/// As [`portable::dot_nibbles`], 64 weights with each load.
#[target_feature(enable = "avx2")]
pub(crate) fn dot_nibbles(
    weights: &[Quad],
    inputs: &[NibbleInputs],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    walk::dot_spread::<_, QUADS, 4, 2, PLACES>(
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
        |group, inputs, sums| add_nibbles(group, inputs, sums),
    );
}

/// Quads of a register.
const QUADS: usize = 2;
/// Registers of the quads whose inputs are spread at once.
const PLACES: usize = QUADS_AT_ONCE / QUADS;
/// The largest stored weight of a byte.
const MAX_BYTE: usize = 0x7f;
/// The largest magnitude of an input.
const LARGEST_INPUT: usize = 0x80;

/// Adds the products of some blocks, of weights of a byte, to the sums of their rows.
///
/// One instruction multiplies 32 weights of 7 bits with as many inputs and adds pairs of products, in
/// 16 bits; another adds pairs of those.
#[target_feature(enable = "avx2")]
#[inline]
fn add_bytes(group: Group<'_>, inputs: &[[__m256i; 1]], sums: &mut GroupSums) {
    const { assert!(2 * MAX_BYTE * LARGEST_INPUT < 1 << 15) };
    let mut totals = [_mm256_setzero_si256(); GROUP];
    group.each_turn::<_, QUADS, 1, 2>(inputs, part, |registers| {
        for (weights, [inputs]) in registers {
            for (total, weights) in totals.iter_mut().zip(weights) {
                let products = _mm256_maddubs_epi16(weights, inputs);
                *total = _mm256_add_epi32(*total, widened(products));
            }
        }
    });
    add_totals(totals, sums);
}

/// The same of weights of half a byte, the lower ones and the upper ones apart.
#[target_feature(enable = "avx2")]
#[inline]
fn add_nibbles(group: Group<'_>, inputs: &[[__m256i; 2]], sums: &mut GroupSums) {
    /// Registers of quads whose sums have 16 bits.
    const REGISTERS: usize = 4;
    const { assert!(REGISTERS * 4 * 0xf * LARGEST_INPUT < 1 << 15) };
    let mask = _mm256_set1_epi8(0xf);
    let mut totals = [_mm256_setzero_si256(); GROUP];
    group.each_turn::<_, QUADS, 2, REGISTERS>(inputs, part, |registers| {
        let mut sums = [_mm256_setzero_si256(); GROUP];
        for (weights, [lower, upper]) in registers {
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
    add_totals(totals, sums);
}

/// The first quads of a block's rest, with zeros where there are none.
fn part(quads: &[Quad]) -> __m256i {
    let quad = |at: usize| quads.get(at).copied().unwrap_or_default();
    must_cast([quad(0), quad(1)])
}

/// Adds the halves of each total to the sums of a block's rows.
#[target_feature(enable = "avx2")]
#[inline]
fn add_totals(totals: [__m256i; GROUP], sums: &mut GroupSums) {
    for (sums, total) in sums.iter_mut().zip(totals) {
        let [first, second] = halves(total);
        let more = _mm_add_epi32(first, second);
        *sums = must_cast(_mm_add_epi32(must_cast(*sums), more));
    }
}

/// The sums of pairs of 16-bit numbers, in 32 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn widened(sums: __m256i) -> __m256i {
    _mm256_madd_epi16(sums, _mm256_set1_epi16(1))
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
