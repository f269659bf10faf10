//! AVX-512 with VNNI: 512 bits at a time, and one instruction that multiplies 64 bytes without a sign
//! with 64 that have one, and adds four products to each of 16 sums.

use core::arch::x86_64::{
    __m128i, __m512i, _mm_cvtsi32_si128, _mm256_dpbusd_epi32, _mm256_permutexvar_epi32,
    _mm256_set1_epi8, _mm256_setzero_si256, _mm512_abs_epi16, _mm512_add_epi16, _mm512_add_epi32,
    _mm512_adds_epi16, _mm512_and_si512, _mm512_andnot_si512, _mm512_castsi256_si512,
    _mm512_cvtepi8_epi16, _mm512_cvtepu8_epi32, _mm512_cvtsepi16_epi8, _mm512_dpbusd_epi32,
    _mm512_madd_epi16, _mm512_mask_adds_epi16, _mm512_mask_blend_epi16,
    _mm512_mask_permutexvar_epi16, _mm512_mask_sub_epi16, _mm512_maskz_loadu_epi64,
    _mm512_min_epu16, _mm512_movepi16_mask, _mm512_mulhi_epi16, _mm512_mulhi_epu16,
    _mm512_mullo_epi16, _mm512_packs_epi32, _mm512_permutex2var_epi16, _mm512_permutex2var_epi32,
    _mm512_permutexvar_epi64, _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_set1_epi16,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i64x2,
    _mm512_slli_epi32, _mm512_sra_epi32, _mm512_srai_epi16, _mm512_srai_epi32, _mm512_srli_epi16,
    _mm512_srli_epi32, _mm512_test_epi16_mask, _mm512_zextsi256_si512,
};

use bytemuck::{must_cast, must_cast_mut};

use super::walk::{self, GROUP, Group, GroupSums, QUADS_AT_ONCE};
use crate::arch::{Inputs, NibbleInputs, Operation, Quad, Scales, Shifts, StartValues, portable};
use crate::arithmetic::fixed::{C_BITS, GATE_BITS, H_BITS, ONE, SIGMOID, STEP_BITS, SUM_BITS};
use crate::format::layout::{COLUMN_ORDER, COLUMNS, ROWS_PER_QUAD};

/// Runs an operation, whose loops the compiler vectorises with AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(crate) fn run(operation: impl Operation) {
    operation.compute();
}

/// As [`portable::widen`], 32 inputs at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(crate) fn widen(inputs: &[i8], words: &mut [u32]) -> i32 {
    let (whole_inputs, _) = inputs.as_chunks::<32>();
    let (whole_words, last_words) = words.as_chunks_mut::<16>();
    let ones = _mm256_set1_epi8(1);
    let mut totals = _mm256_setzero_si256();
    for (words, inputs) in whole_words.iter_mut().zip(whole_inputs) {
        totals = _mm256_dpbusd_epi32(totals, ones, must_cast(*inputs));
        *words = must_cast(_mm512_cvtepi8_epi16(must_cast(*inputs)));
    }
    let last_inputs = inputs.get(32 * whole_words.len()..).unwrap_or_default();
    _mm512_reduce_add_epi32(_mm512_zextsi256_si512(totals))
        + portable::widen(last_inputs, last_words)
}

/// As [`portable::dot`], 64 weights with each instruction.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(crate) fn dot(weights: &[Quad], inputs: &[Inputs], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    walk::dot_spread::<_, QUADS, 2, 1, PLACES>(
        weights,
        inputs,
        sums,
        |inputs| {
            // The 64 bits of a quad's inputs to each lower half of 128 bits.
            let inputs = _mm512_castsi256_si512(must_cast(inputs));
            let lanes = _mm512_permutexvar_epi64(must_cast([0u64, 0, 1, 0, 2, 0, 3, 0]), inputs);
            [spread::<0>(lanes)]
        },
        |group, inputs, sums| add_bytes(group, inputs, sums),
    );
}

/// As [`portable::dot_nibbles`], 128 weights with each load.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
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
            let lanes = must_cast(inputs);
            [spread::<0>(lanes), spread::<8>(lanes)]
        },
        |group, inputs, sums| add_nibbles(group, inputs, sums),
    );
}

/// Quads of a register.
const QUADS: usize = 4;
/// Registers of the quads whose inputs are spread at once.
const PLACES: usize = QUADS_AT_ONCE / QUADS;

/// The four inputs of 16 bits that start at a byte of each 128 bits, in the order of a row's weights,
/// once for each row.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn spread<const START: usize>(lanes: __m512i) -> __m512i {
    let order = const {
        let [a, b, c, d] = COLUMN_ORDER;
        [
            (2 * a + START) as u8,
            (2 * b + START) as u8,
            (2 * c + START) as u8,
            (2 * d + START) as u8,
        ]
    };
    _mm512_shuffle_epi8(lanes, must_cast([order; ROWS_PER_QUAD * QUADS]))
}

/// Adds the products of some blocks, of weights of a byte, to the sums of their rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn add_bytes(group: Group<'_>, inputs: &[[__m512i; 1]], sums: &mut GroupSums) {
    let mut totals = [_mm512_setzero_si512(); GROUP];
    // Each addition waits for the one before it, so that two sums are faster.
    let mut other_totals = totals;
    let part = |quads: &[Quad]| part(quads);
    group.each_turn::<_, QUADS, 1, 2>(inputs, part, |[(weights, [inputs]), (others, [last])]| {
        for (total, weights) in totals.iter_mut().zip(weights) {
            *total = _mm512_dpbusd_epi32(*total, weights, inputs);
        }
        for (total, weights) in other_totals.iter_mut().zip(others) {
            *total = _mm512_dpbusd_epi32(*total, weights, last);
        }
    });
    for (total, other) in totals.iter_mut().zip(other_totals) {
        *total = _mm512_add_epi32(*total, other);
    }
    add_totals(totals, sums);
}

/// The same of weights of half a byte, the lower ones and the upper ones apart: these stay where they
/// are, so that their sums are 16 times as large.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn add_nibbles(group: Group<'_>, inputs: &[[__m512i; 2]], sums: &mut GroupSums) {
    /// The largest weight in its place, and the largest magnitude of an input.
    const LARGEST: [usize; 2] = [0xf0, 0x80];
    const { assert!(PLACES * COLUMNS * LARGEST[0] * LARGEST[1] < 1 << 31) };
    let low = _mm512_set1_epi8(0xf);
    let mut lower_totals = [_mm512_setzero_si512(); GROUP];
    let mut upper_totals = lower_totals;
    let part = |quads: &[Quad]| part(quads);
    group.each_turn::<_, QUADS, 2, 1>(inputs, part, |[(weights, [lower, upper])]| {
        for (total, weights) in lower_totals.iter_mut().zip(weights) {
            *total = _mm512_dpbusd_epi32(*total, _mm512_and_si512(low, weights), lower);
        }
        for (total, weights) in upper_totals.iter_mut().zip(weights) {
            *total = _mm512_dpbusd_epi32(*total, _mm512_andnot_si512(low, weights), upper);
        }
    });
    for (lower, upper) in lower_totals.iter_mut().zip(upper_totals) {
        *lower = _mm512_add_epi32(*lower, _mm512_srai_epi32::<4>(upper));
    }
    add_totals(lower_totals, sums);
}

/// The first quads of a block's rest, with zeros where there are none.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn part(quads: &[Quad]) -> __m512i {
    // Two bits for each quad.
    let mask = (1u32 << (2 * quads.len().min(QUADS))) - 1;
    // SAFETY: only quads of the slice are read.
    unsafe { _mm512_maskz_loadu_epi64(mask as u8, quads.as_ptr().cast()) }
}

/// Adds the four parts of each total to the sums of a block's rows.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn add_totals([a, b, c, d]: [__m512i; GROUP], sums: &mut GroupSums) {
    /// The lower, or the upper, halves of two registers.
    const LOWER: i32 = 0b01_00_01_00;
    const UPPER: i32 = 0b11_10_11_10;
    /// The first and third, or the second and fourth, parts of two registers.
    const EVEN: i32 = 0b10_00_10_00;
    const ODD: i32 = 0b11_01_11_01;
    let ab = _mm512_add_epi32(
        _mm512_shuffle_i64x2::<LOWER>(a, b),
        _mm512_shuffle_i64x2::<UPPER>(a, b),
    );
    let cd = _mm512_add_epi32(
        _mm512_shuffle_i64x2::<LOWER>(c, d),
        _mm512_shuffle_i64x2::<UPPER>(c, d),
    );
    let totals = _mm512_add_epi32(
        _mm512_shuffle_i64x2::<EVEN>(ab, cd),
        _mm512_shuffle_i64x2::<ODD>(ab, cd),
    );
    *sums = must_cast(_mm512_add_epi32(must_cast(*sums), totals));
}

/// As [`portable::values`], sixteen rows at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(crate) fn values(
    shifts: Shifts,
    scales: &[Scales],
    start: &[StartValues],
    sums: &mut [[i32; ROWS_PER_QUAD]],
) {
    /// The upper 16 bits of each 32.
    const UPPER: u32 = 0xaaaa_aaaa;
    let first = _mm_cvtsi32_si128(shifts.first as i32);
    let second = _mm_cvtsi32_si128(shifts.second as i32);
    let half = _mm512_set1_epi32((1 << shifts.second) >> 1);
    let (scales, last_scales) = scales.as_chunks::<4>();
    let (start, last_start) = start.as_chunks::<4>();
    let (sums, last_sums) = sums.as_chunks_mut::<4>();
    for ((sums, scales), start) in sums.iter_mut().zip(scales).zip(start) {
        // The pairs of a shifted sum and a start value times 256, both of 16 bits.
        let start: __m128i = must_cast(*start);
        let start = _mm512_slli_epi32::<24>(_mm512_cvtepu8_epi32(start));
        let shifted = _mm512_sra_epi32(must_cast(*sums), first);
        let pairs = _mm512_mask_blend_epi16(UPPER, shifted, start);
        let scaled = _mm512_madd_epi16(pairs, must_cast(*scales));
        *sums = must_cast(_mm512_sra_epi32(_mm512_add_epi32(scaled, half), second));
    }
    portable::values(shifts, last_scales, last_start, last_sums);
}

/// Units whose cells are computed at once.
const UNITS: usize = 32;

/// As [`portable::cells`], 32 units at a time.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(crate) fn cells(sums: &[[i32; ROWS_PER_QUAD]], c: &mut [i32], h: &mut [i8]) {
    let (sums, last_sums) = sums.as_chunks::<UNITS>();
    let (c, last_c) = c.as_chunks_mut::<UNITS>();
    let (h, last_h) = h.as_chunks_mut::<UNITS>();
    for ((sums, c), h) in sums.iter().zip(c).zip(h) {
        *h = next_cells(sums, c);
    }
    if !last_sums.is_empty() {
        let mut padded_sums = [[0; ROWS_PER_QUAD]; UNITS];
        for (padded, sums) in padded_sums.iter_mut().zip(last_sums) {
            *padded = *sums;
        }
        let mut padded_c = [0; UNITS];
        for (padded, c) in padded_c.iter_mut().zip(&*last_c) {
            *padded = *c;
        }
        let padded_h = next_cells(&padded_sums, &mut padded_c);
        for (c, padded) in last_c.iter_mut().zip(padded_c) {
            *c = padded;
        }
        for (h, padded) in last_h.iter_mut().zip(padded_h) {
            *h = padded;
        }
    }
}

/// As [`cell::fixed`](crate::arithmetic::cell::fixed): changes c, and gives h.
///
/// Sums count as 16 bits: 32 of them fit a register, and are activated together.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn next_cells(sums: &[[i32; ROWS_PER_QUAD]; UNITS], c: &mut [i32; UNITS]) -> [i8; UNITS] {
    /// What is left of h's shift once a product's upper half is taken.
    const H_SHIFT: u32 = 2 * GATE_BITS - H_BITS - 16;
    let [first, second]: [[__m512i; 4]; 2] = must_cast(*sums);
    let [first_c, second_c]: &mut [[i32; 16]; 2] = must_cast_mut(c);
    let (first_sums, first_o) = next_c(first, first_c);
    let (second_sums, second_o) = next_c(second, second_c);
    // Four units of the first, four of the second, and so on.
    let sums = _mm512_packs_epi32(first_sums, second_sums);
    let o = _mm512_packs_epi32(first_o, second_o);
    let less_half = sigmoid_less_half(_mm512_adds_epi16(sums, sums));
    let product = _mm512_mulhi_epi16(o, _mm512_add_epi16(less_half, less_half));
    let half = _mm512_set1_epi16(1 << (H_SHIFT - 1));
    let h = _mm512_srai_epi16::<H_SHIFT>(_mm512_add_epi16(product, half));
    let order = must_cast([0u32, 2, 4, 6, 1, 3, 5, 7]);
    must_cast(_mm256_permutexvar_epi32(order, _mm512_cvtsepi16_epi8(h)))
}

/// Changes c of sixteen units, and gives it as sums, and the activated gates o. Of activated gates, and
/// zeros between them, `madd` makes products of 32 bits.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn next_c([a, b, c, d]: [__m512i; 4], old: &mut [i32; 16]) -> (__m512i, __m512i) {
    let lower = activated(_mm512_packs_epi32(a, b));
    let upper = activated(_mm512_packs_epi32(c, d));
    let i_f = _mm512_permutex2var_epi32(lower, must_cast(const { pairs_of_gates(0) }), upper);
    let g_o = _mm512_permutex2var_epi32(lower, must_cast(const { pairs_of_gates(1) }), upper);
    // (c * f) >> 16, the upper and the lower half of c apart.
    let c: __m512i = must_cast(*old);
    let f = _mm512_srli_epi32::<16>(i_f);
    let kept = _mm512_add_epi32(
        _mm512_madd_epi16(_mm512_srai_epi32::<16>(c), f),
        _mm512_mulhi_epu16(c, f),
    );
    let i = _mm512_and_si512(i_f, _mm512_set1_epi32(0xffff));
    let added = _mm512_madd_epi16(i, g_o);
    let added = _mm512_srai_epi32::<{ 2 * GATE_BITS - C_BITS }>(added);
    let c = _mm512_add_epi32(_mm512_add_epi32(kept, kept), added);
    *old = must_cast(c);
    (
        _mm512_srai_epi32::<{ C_BITS - SUM_BITS }>(c),
        _mm512_srli_epi32::<16>(g_o),
    )
}

/// Activates the gates of eight units: tanh(g) is 2 sigmoid(2g) - 1.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn activated(gates: __m512i) -> __m512i {
    let doubled = _mm512_mask_adds_epi16(gates, G, gates, gates);
    let less_half = sigmoid_less_half(doubled);
    let more = _mm512_mask_blend_epi16(G, _mm512_set1_epi16((ONE / 2) as i16), less_half);
    _mm512_add_epi16(less_half, more)
}

/// The gates g among those of eight units.
const G: u32 = 0x4444_4444;

/// Where the gates i and f, or g and o, of sixteen units stand: in the first of two registers those of
/// the units 0, 4, 1, 5, 2, 6, 3 and 7, as sums of four registers are packed, in the second the others.
#[allow(clippy::indexing_slicing, reason = "it runs while compiling")]
const fn pairs_of_gates(pair: u32) -> [u32; 16] {
    let mut places = [0; 16];
    let mut unit = 0;
    while unit < 16 {
        let (register, half, lane) = (unit / 8, unit / 4 % 2, unit % 4);
        places[unit as usize] = 16 * register + 4 * lane + 2 * half + pair;
        unit += 1;
    }
    places
}

/// sigmoid less 1/2, which is odd, of sums of 16 bits; see [`fixed::sigmoid`](crate::arithmetic::fixed::sigmoid).
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn sigmoid_less_half(sums: __m512i) -> __m512i {
    /// From here on the values are equal.
    const LARGEST: u16 = ((ENTRIES as u16) << STEP_BITS) - 1;
    let half = _mm512_set1_epi16(HALF.cast_signed());
    let mask = _mm512_set1_epi16(FRACTION.cast_signed());
    let largest = _mm512_set1_epi16(LARGEST.cast_signed());
    let magnitude = _mm512_min_epu16(_mm512_abs_epi16(sums), largest);
    let at = _mm512_srli_epi16::<STEP_BITS>(magnitude);
    let fraction = _mm512_and_si512(magnitude, mask);
    let product = _mm512_mullo_epi16(entries(&RISES, at), fraction);
    let rise = _mm512_srli_epi16::<STEP_BITS>(_mm512_add_epi16(product, half));
    let value = _mm512_add_epi16(entries(&VALUES, at), rise);
    let negative = _mm512_movepi16_mask(sums);
    _mm512_mask_sub_epi16(value, negative, _mm512_setzero_si512(), value)
}

/// The entries of a table at these places. Registers hold the whole table: two at a time are one table
/// of 64 for the instruction that looks up.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
#[inline]
fn entries(table: &Table, at: __m512i) -> __m512i {
    let &[a, b, c, d, e] = table;
    let (a, b, c, d, e) = (
        must_cast(a),
        must_cast(b),
        must_cast(c),
        must_cast(d),
        must_cast(e),
    );
    let from_64 = _mm512_test_epi16_mask(at, _mm512_set1_epi16(64));
    let from_128 = _mm512_test_epi16_mask(at, _mm512_set1_epi16(128));
    let below_64 = _mm512_permutex2var_epi16(a, at, b);
    let below_128 = _mm512_permutex2var_epi16(c, at, d);
    let below_128 = _mm512_mask_blend_epi16(from_64, below_64, below_128);
    _mm512_mask_permutexvar_epi16(below_128, from_128, at, e)
}

/// What rounds a product with a fraction.
const HALF: u16 = 1 << (STEP_BITS - 1);
/// The largest fraction between two entries.
const FRACTION: u16 = (1 << STEP_BITS) - 1;

/// A table, as registers.
type Table = [[u16; LANES]; REGISTERS];
const LANES: usize = 32;
const REGISTERS: usize = 5;
/// Entries of a table: from this one on, all of [`SIGMOID`] are equal.
const ENTRIES: usize = LANES * REGISTERS;
/// The entries of [`SIGMOID`], and by how much the next is larger.
static VALUES: Table = VALUES_AND_RISES.0;
static RISES: Table = VALUES_AND_RISES.1;
const VALUES_AND_RISES: (Table, Table) = values_and_rises();

#[allow(clippy::indexing_slicing, reason = "it runs while compiling")]
const fn values_and_rises() -> (Table, Table) {
    let (mut values, mut rises) = ([[0; LANES]; REGISTERS], [[0; LANES]; REGISTERS]);
    let mut at = 0;
    while at < ENTRIES {
        let rise = SIGMOID[at + 1] - SIGMOID[at];
        values[at / LANES][at % LANES] = SIGMOID[at];
        rises[at / LANES][at % LANES] = rise;
        // A product with a fraction, and what rounds it, fit 16 bits.
        assert!(rise <= (u16::MAX - HALF) / FRACTION);
        // The last fraction of the last entry is rounded to the next entry.
        assert!(at < ENTRIES - 1 || rise <= 1);
        at += 1;
    }
    while at < SIGMOID.len() {
        assert!(SIGMOID[at] == SIGMOID[ENTRIES]);
        at += 1;
    }
    (values, rises)
}
