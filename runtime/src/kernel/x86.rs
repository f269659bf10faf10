//! AVX2, on desktops whose processor has it.

use core::arch::x86_64::{
    __cpuid, __cpuid_count, __m128i, __m256i, _mm_add_epi32, _mm_and_si128, _mm_madd_epi16,
    _mm_max_epi32, _mm_min_epi32, _mm_mulhi_epu16, _mm_packs_epi32, _mm_set1_epi16, _mm_set1_epi32,
    _mm_setzero_si128, _mm_shuffle_epi32, _mm_srai_epi32, _mm_srli_epi16, _mm_sub_epi32,
    _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32, _mm_unpacklo_epi64,
    _mm256_abs_epi32, _mm256_add_epi32, _mm256_and_si256, _mm256_castsi128_si256,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_i32gather_epi32, _mm256_madd_epi16,
    _mm256_min_epu32, _mm256_permute4x64_epi64, _mm256_set_m128i, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi32, _mm256_sign_epi32,
    _mm256_srli_epi16, _mm256_srli_epi32, _mm256_sub_epi32, _xgetbv,
};
use core::sync::atomic::{AtomicU8, Ordering};

use bytemuck::must_cast;

use super::{Quad, portable};
use crate::Token;
use crate::fixed::{C_BITS, GATE_BITS, H_BITS, ONE, SIGMOID, STEP_BITS, SUM_BITS};
use crate::layout::{COLUMNS, ROWS_PER_QUAD};
use crate::network::Network;

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
pub(crate) fn select(avx2: bool) {
    let selected = if avx2 && available() { AVX2 } else { PORTABLE };
    SELECTED.store(selected, Ordering::Relaxed);
}

/// Whether this processor has AVX2 and the system keeps its registers, as Intel's manual describes
/// it (volume 1, "Detection of Intel AVX2").
#[allow(unused_unsafe, reason = "newer compilers call cpuid safe")]
pub(crate) fn available() -> bool {
    const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
    const HAS_AVX2: u32 = 1 << 5;
    const SSE_AND_AVX_STATE: u64 = 0b110;
    // SAFETY: every 64-bit processor has the instruction; leaf 7 is read only where there is one.
    let (leaves, features) = unsafe { (__cpuid(0).eax, __cpuid(1).ecx) };
    if leaves < 7 || features & OSXSAVE_AND_AVX != OSXSAVE_AND_AVX {
        return false;
    }
    // SAFETY: as above.
    let more_features = unsafe { __cpuid_count(7, 0).ebx };
    // SAFETY: OSXSAVE says that the instruction is there.
    let kept = unsafe { kept_state() };
    more_features & HAS_AVX2 != 0 && kept & SSE_AND_AVX_STATE == SSE_AND_AVX_STATE
}

/// Which registers the system keeps for each thread.
#[target_feature(enable = "xsave")]
fn kept_state() -> u64 {
    // SAFETY: register 0 is there wherever the instruction is.
    unsafe { _xgetbv(0) }
}

/// As [`Network::step_inline`], whose loops the compiler vectorises with AVX2.
#[target_feature(enable = "avx2")]
pub(crate) fn step(network: &Network<'_>, token: Token, state: &mut [u32], workspace: &mut [u32]) {
    network.step_inline(token, state, workspace);
}

/// As [`portable::dot`], 32 weights with each instruction.
#[target_feature(enable = "avx2")]
pub(crate) fn dot(weights: &[Quad], inputs: &[[i16; COLUMNS]], sums: &mut [[i32; ROWS_PER_QUAD]]) {
    let mut blocks = weights.chunks_exact(inputs.len().max(1));
    for sums in sums.chunks_mut(BLOCKS_AT_ONCE) {
        let Some(first) = blocks.next() else { return };
        // Where there are fewer, the first is computed again and the result left alone.
        let mut next = || blocks.next().unwrap_or(first);
        let totals = dot_blocks([first, next(), next(), next()], inputs);
        for (sum, total) in sums.iter_mut().zip(totals) {
            *sum = must_cast(_mm_add_epi32(must_cast(*sum), total));
        }
    }
}

/// Blocks that share what is made of an input: their weights are as many as registers hold.
const BLOCKS_AT_ONCE: usize = 4;

/// The sums of each block's four rows.
///
/// Of each pair of weights one instruction multiplies with a pair of inputs, and adds: the bytes of
/// columns 0 and 1 are 16-bit numbers once the others are masked, those of 2 and 3 once shifted.
#[target_feature(enable = "avx2")]
#[inline]
fn dot_blocks(
    blocks: [&[Quad]; BLOCKS_AT_ONCE],
    inputs: &[[i16; COLUMNS]],
) -> [__m128i; BLOCKS_AT_ONCE] {
    let mut totals = [_mm256_setzero_si256(); BLOCKS_AT_ONCE];
    let low_bytes = _mm256_set1_epi16(0xff);
    // The first quad of a pair fills the lower half of a register, the second the upper one.
    let (input_pairs, last_input) = inputs.as_chunks::<2>();
    let [(a, last_a), (b, last_b), (c, last_c), (d, last_d)] = blocks.map(<[_]>::as_chunks::<2>);
    for ((((a, b), c), d), input) in a.iter().zip(b).zip(c).zip(d).zip(input_pairs) {
        let input = _mm256_castsi128_si256(must_cast(*input));
        let input = _mm256_permute4x64_epi64::<0b01_01_00_00>(input);
        let inputs_01 = _mm256_shuffle_epi32::<0b00_00_00_00>(input);
        let inputs_23 = _mm256_shuffle_epi32::<0b01_01_01_01>(input);
        for (total, quads) in totals.iter_mut().zip([a, b, c, d]) {
            let weights: __m256i = must_cast(*quads);
            let columns_01 = _mm256_madd_epi16(_mm256_and_si256(weights, low_bytes), inputs_01);
            let columns_23 = _mm256_madd_epi16(_mm256_srli_epi16::<8>(weights), inputs_23);
            *total = _mm256_add_epi32(*total, _mm256_add_epi32(columns_01, columns_23));
        }
    }
    let mut sums = totals.map(|total| {
        let [first, second] = halves(total);
        _mm_add_epi32(first, second)
    });
    if let [[x0, x1, x2, x3]] = *last_input {
        let input: __m128i = must_cast([[x0, x1, x2, x3], [0; COLUMNS]]);
        let inputs_01 = _mm_shuffle_epi32::<0b00_00_00_00>(input);
        let inputs_23 = _mm_shuffle_epi32::<0b01_01_01_01>(input);
        for (sum, last) in sums.iter_mut().zip([last_a, last_b, last_c, last_d]) {
            let weights: __m128i = must_cast(last.first().copied().unwrap_or_default());
            let columns_01 =
                _mm_madd_epi16(_mm_and_si128(weights, _mm_set1_epi16(0xff)), inputs_01);
            let columns_23 = _mm_madd_epi16(_mm_srli_epi16::<8>(weights), inputs_23);
            *sum = _mm_add_epi32(*sum, _mm_add_epi32(columns_01, columns_23));
        }
    }
    sums
}

/// As [`portable::cells`], four units at a time.
#[target_feature(enable = "avx2")]
pub(crate) fn cells(sums: &[[i32; ROWS_PER_QUAD]], c: &mut [i32], h: &mut [i16]) {
    let (sums, last_sums) = sums.as_chunks();
    let (c, last_c) = c.as_chunks_mut();
    let (h, last_h) = h.as_chunks_mut();
    for ((sums, c), h) in sums.iter().zip(c).zip(h) {
        (*c, *h) = four_cells(sums, *c);
    }
    portable::cells(last_sums, last_c, last_h);
}

/// As [`cell::fixed`](crate::cell::fixed).
///
/// Activated gates have 15 bits and a sign: of such numbers, and zeros between them, `madd` makes
/// products of 32 bits.
#[target_feature(enable = "avx2")]
#[inline]
fn four_cells(sums: &[[i32; 4]; 4], c: [i32; 4]) -> ([i32; 4], [i16; 4]) {
    const H_SHIFT: i32 = (2 * GATE_BITS - H_BITS) as i32;
    let [i, f, g, o] = transpose(sums.map(must_cast));
    let inner = sigmoid(_mm256_set_m128i(f, i));
    let outer = sigmoid(_mm256_set_m128i(o, double(g)));
    let [i, f] = halves(inner);
    let [g, o] = halves(outer);
    let tanh = |sigmoid| _mm_sub_epi32(_mm_add_epi32(sigmoid, sigmoid), _mm_set1_epi32(ONE));
    // (c * f) >> 16, the upper and the lower half of c apart.
    let c: __m128i = must_cast(c);
    let kept = _mm_add_epi32(
        _mm_madd_epi16(_mm_srai_epi32::<16>(c), f),
        _mm_mulhi_epu16(c, f),
    );
    let added = _mm_madd_epi16(i, tanh(g));
    let added = _mm_srai_epi32::<{ (2 * GATE_BITS - C_BITS) as i32 }>(added);
    let c = _mm_add_epi32(_mm_add_epi32(kept, kept), added);
    let sum = double(_mm_srai_epi32::<{ (C_BITS - SUM_BITS) as i32 }>(c));
    let [squashed, _] = halves(sigmoid(_mm256_castsi128_si256(sum)));
    let product = _mm_madd_epi16(o, tanh(squashed));
    let half = _mm_set1_epi32(1 << (H_SHIFT - 1));
    let h = _mm_srai_epi32::<H_SHIFT>(_mm_add_epi32(product, half));
    let [h, _]: [[i16; 4]; 2] = must_cast(_mm_packs_epi32(h, h));
    (must_cast(c), h)
}

/// As [`fixed::sigmoid`](crate::fixed::sigmoid).
#[target_feature(enable = "avx2")]
#[inline]
fn sigmoid(sums: __m256i) -> __m256i {
    const STEP: i32 = STEP_BITS as i32;
    const { assert!(SIGMOID.len() >= (0x7fff >> STEP) + 2) };
    let limit = _mm256_set1_epi32(0x7fff);
    let magnitude = _mm256_min_epu32(_mm256_abs_epi32(sums), limit);
    let at = _mm256_srli_epi32::<STEP>(magnitude);
    // SAFETY: magnitudes have 15 bits, so that this entry and the next, which 32 bits from it are,
    // stand in the table: its length is asserted above.
    let entries = unsafe { _mm256_i32gather_epi32::<2>(SIGMOID.as_ptr().cast(), at) };
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
fn double(sums: __m128i) -> __m128i {
    let limit = _mm_set1_epi32(0x7fff);
    let sums = _mm_min_epi32(sums, limit);
    let sums = _mm_max_epi32(sums, _mm_sub_epi32(_mm_setzero_si128(), limit));
    _mm_add_epi32(sums, sums)
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

/// Rows to columns.
#[target_feature(enable = "avx2")]
#[inline]
fn transpose([a, b, c, d]: [__m128i; 4]) -> [__m128i; 4] {
    let (ab_01, ab_23) = (_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
    let (cd_01, cd_23) = (_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
    [
        _mm_unpacklo_epi64(ab_01, cd_01),
        _mm_unpackhi_epi64(ab_01, cd_01),
        _mm_unpacklo_epi64(ab_23, cd_23),
        _mm_unpackhi_epi64(ab_23, cd_23),
    ]
}
