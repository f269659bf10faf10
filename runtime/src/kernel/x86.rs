//! AVX2, on desktops whose processor has it.

use core::arch::x86_64::{
    __cpuid, __cpuid_count, __m128i, __m256i, _mm_add_epi32, _mm_and_si128, _mm_madd_epi16,
    _mm_set1_epi16, _mm_shuffle_epi32, _mm_srli_epi16, _mm256_add_epi32, _mm256_and_si256,
    _mm256_castsi128_si256, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_madd_epi16,
    _mm256_permute4x64_epi64, _mm256_set1_epi16, _mm256_setzero_si256, _mm256_shuffle_epi32,
    _mm256_srli_epi16, _xgetbv,
};
use core::sync::atomic::{AtomicU8, Ordering};

use bytemuck::must_cast;

use super::Quad;
use crate::Token;
use crate::layout::{COLUMNS, ROWS_PER_QUAD};
use crate::network::Network;

/// Whether this processor has AVX2 and the system keeps its registers.
#[inline]
pub(crate) fn available() -> bool {
    const UNKNOWN: u8 = 0;
    const NO: u8 = 1;
    const YES: u8 = 2;
    static ANSWER: AtomicU8 = AtomicU8::new(UNKNOWN);
    // Threads that ask at the same time find the same answer, so that no order is needed.
    match ANSWER.load(Ordering::Relaxed) {
        UNKNOWN => {
            let found = detect();
            ANSWER.store(if found { YES } else { NO }, Ordering::Relaxed);
            found
        }
        answer => answer == YES,
    }
}

/// Asks the processor, as Intel's manual describes (volume 1, "Detection of Intel AVX2").
#[cold]
fn detect() -> bool {
    const OSXSAVE_AND_AVX: u32 = 1 << 27 | 1 << 28;
    const AVX2: u32 = 1 << 5;
    const SSE_AND_AVX_STATE: u64 = 0b110;
    if __cpuid(0).eax < 7 || __cpuid(1).ecx & OSXSAVE_AND_AVX != OSXSAVE_AND_AVX {
        return false;
    }
    // SAFETY: OSXSAVE says that the instruction is there, and register 0 always is.
    let state = unsafe { kept_state() };
    state & SSE_AND_AVX_STATE == SSE_AND_AVX_STATE && __cpuid_count(7, 0).ebx & AVX2 != 0
}

/// Which registers the system keeps for each thread.
#[target_feature(enable = "xsave")]
fn kept_state() -> u64 {
    // SAFETY: register 0 is there wherever the instruction is.
    unsafe { _xgetbv(0) }
}

/// As [`Network::step_inline`], whose loops the compiler vectorises with AVX2.
#[target_feature(enable = "avx2")]
pub(crate) fn step(
    network: &Network<'_>,
    token: Token,
    state: &mut [u32],
    workspace: &mut [u32],
) {
    network.step_inline(token, state, workspace);
}

/// As [`portable::dot`](super::portable::dot), 32 weights with each instruction.
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
        _mm_add_epi32(
            _mm256_castsi256_si128(total),
            _mm256_extracti128_si256::<1>(total),
        )
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
