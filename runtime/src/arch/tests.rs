//! Every backend that this machine can run equals the portable one, to the bit.

extern crate std;

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};
use std::vec::Vec;

use super::{Inputs, NibbleInputs, Quad, Scales, Shifts, StartValues, portable};
use crate::format::layout::{COLUMN_ORDER, COLUMNS, NIBBLE_COLUMNS, ROWS_PER_QUAD};

/// Adds products of weights and inputs to sums.
type Dot<Inputs> = fn(&[Quad], &[Inputs], &mut [[i32; ROWS_PER_QUAD]]);

/// What turns sums into values.
type Values = fn(Shifts, &[Scales], &[StartValues], &mut [[i32; ROWS_PER_QUAD]]);

/// What computes cells from the sums of their gates.
type Cells = fn(&[[i32; ROWS_PER_QUAD]], &mut [i32], &mut [i8]);

/// A backend's functions.
struct Backend {
    widen: fn(&[i8], &mut [u32]) -> i32,
    dot: Dot<Inputs>,
    dot_nibbles: Dot<NibbleInputs>,
    values: Values,
    cells: Cells,
}

/// The functions of a module, which are safe to call where the processor has its instructions.
#[cfg(target_arch = "x86_64")]
macro_rules! backend_of {
    ($($module:ident)::+) => {
        Backend {
            widen: |inputs, words| $($module)::+::widen(inputs, words),
            dot: |weights, inputs, sums| $($module)::+::dot(weights, inputs, sums),
            dot_nibbles: |weights, inputs, sums| $($module)::+::dot_nibbles(weights, inputs, sums),
            values: |shifts, scales, start, sums| {
                $($module)::+::values(shifts, scales, start, sums);
            },
            cells: |sums, c, h| $($module)::+::cells(sums, c, h),
        }
    };
}

/// The backends apart from the portable one: the chosen one, and all that can be had.
fn backends() -> Vec<Backend> {
    let mut backends = std::vec![Backend {
        widen: super::widen,
        dot: super::dot,
        dot_nibbles: super::dot_nibbles,
        values: super::values,
        cells: super::cells,
    }];
    #[cfg(target_arch = "x86_64")]
    for backend in super::Backend::available() {
        // SAFETY: the processor has the instructions of what is available.
        unsafe {
            match backend {
                super::Backend::Avx2 => backends.push(backend_of!(super::x86::avx2)),
                super::Backend::Avx512 => backends.push(backend_of!(super::x86::avx512)),
                _ => {}
            }
        }
    }
    #[cfg(kernel = "neon")]
    {
        use super::aarch64::{cells, dotprod, plain};
        let values: Values =
            // SAFETY: every processor of the target has NEON.
            |shifts, scales, start, sums| unsafe { cells::values(shifts, scales, start, sums) };
        // SAFETY: every processor of the target has NEON.
        let cells: Cells = |sums, c, h| unsafe { cells::cells(sums, c, h) };
        backends.push(Backend {
            widen: super::widen,
            // SAFETY: every processor of the target has NEON.
            dot: |weights, inputs, sums| unsafe { plain::dot(weights, inputs, sums) },
            dot_nibbles: |weights, inputs, sums| {
                // SAFETY: every processor of the target has NEON.
                unsafe { plain::dot_nibbles(weights, inputs, sums) }
            },
            values,
            cells,
        });
        if super::aarch64::available().contains(&crate::Backend::NeonDotprod) {
            backends.push(Backend {
                widen: super::widen,
                // SAFETY: the processor has dot products.
                dot: |weights, inputs, sums| unsafe { dotprod::dot(weights, inputs, sums) },
                dot_nibbles: |weights, inputs, sums| {
                    // SAFETY: the processor has dot products.
                    unsafe { dotprod::dot_nibbles(weights, inputs, sums) }
                },
                values,
                cells,
            });
        }
    }
    backends
}

#[cfg(target_arch = "x86_64")]
#[test]
fn backends_are_found_as_std_finds_them() {
    use super::Backend::{Avx2, Avx512, Portable};
    use std::is_x86_feature_detected as has;
    let avx512 = has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vnni");
    let expected: &[_] = match (has!("avx2"), avx512) {
        (true, true) => &[Avx512, Avx2, Portable],
        (true, false) => &[Avx2, Portable],
        _ => &[Portable],
    };
    assert_eq!(super::Backend::available(), expected);
}

#[cfg(kernel = "neon")]
#[test]
fn dot_products_are_found_as_std_finds_them_and_the_stage_expects() {
    assert_eq!(
        super::aarch64::available().contains(&crate::Backend::NeonDotprod),
        std::arch::is_aarch64_feature_detected!("dotprod")
    );
    if let Ok(expected) = std::env::var("CHARLET_BACKEND") {
        assert_eq!(std::format!("{}", crate::Backend::current()), expected);
    }
}

/// Inputs, as kernels take them.
fn words<const INPUTS: usize, const WORDS: usize>(inputs: &[i16; INPUTS]) -> [u32; WORDS] {
    let bytes = inputs.map(i16::to_le_bytes);
    let (words, _) = bytes.as_flattened().as_chunks();
    core::array::from_fn(|at| u32::from_le_bytes(words[at]))
}

/// Compares the products of weights and inputs: quads of bytes, and the same as halves of bytes.
fn compare_dots(weights: &[Quad], inputs: &[[i16; COLUMNS]], sums: &[[i32; ROWS_PER_QUAD]]) {
    let (blocks, quads) = (sums.len(), inputs.len());
    // Of weights of a byte models have 7 bits.
    let bytes: Vec<Quad> = weights
        .iter()
        .map(|quad| quad.map(|byte| byte & 0x7f))
        .collect();
    let mut expected = sums.to_vec();
    let inputs: Vec<Inputs> = inputs.iter().map(words).collect();
    portable::dot(&bytes, &inputs, &mut expected);
    let doubled = inputs.iter().zip(inputs.iter().rev());
    let doubled: Vec<NibbleInputs> = doubled.map(|(&[a, b], &[c, d])| [a, b, c, d]).collect();
    let mut expected_nibbles = sums.to_vec();
    portable::dot_nibbles(weights, &doubled, &mut expected_nibbles);
    for backend in backends() {
        let mut actual = sums.to_vec();
        (backend.dot)(&bytes, &inputs, &mut actual);
        assert_eq!(actual, expected, "{blocks} blocks of {quads} quads");
        let mut actual = sums.to_vec();
        (backend.dot_nibbles)(weights, &doubled, &mut actual);
        assert_eq!(
            actual, expected_nibbles,
            "{blocks} blocks of {quads} quads of nibbles"
        );
    }
}

/// The portable kernel itself, against weights taken out of the file's order one by one.
#[test]
fn nibbles_stand_where_the_layout_says() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    let weights: Vec<Quad> = (0..6)
        .map(|_| core::array::from_fn(|_| random.next_u32() as u8))
        .collect();
    let inputs: Vec<[i16; NIBBLE_COLUMNS]> = (0..3)
        .map(|_| core::array::from_fn(|_| random.next_u32() as i16))
        .collect();
    let mut sums = [[5; ROWS_PER_QUAD]; 2];
    let input_words: Vec<NibbleInputs> = inputs.iter().map(words).collect();
    portable::dot_nibbles(&weights, &input_words, &mut sums);
    for (block, sums) in sums.iter().enumerate() {
        for (row, &sum) in sums.iter().enumerate() {
            let mut expected = 5;
            for (quad, inputs) in weights[3 * block..].iter().zip(&inputs) {
                for (place, &column) in COLUMN_ORDER.iter().enumerate() {
                    let byte = quad[COLUMNS * row + place];
                    expected += i32::from(byte % 16) * i32::from(inputs[column]);
                    expected += i32::from(byte / 16) * i32::from(inputs[COLUMNS + column]);
                }
            }
            assert_eq!(sum, expected, "row {row} of block {block}");
        }
    }
}

#[test]
fn dots_are_equal() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut random = || random.next_u32();
    // The long rows are beyond what a backend sums, or spreads, at once.
    let short = [0, 1, 2, 3, 5, 32, 33, 64].map(|quads| (quads, 1..=18));
    let long = [127, 128, 129, 256, 511, 512, 513, 1025].map(|quads| (quads, 4..=5));
    for (quads, blocks) in short.into_iter().chain(long) {
        for blocks in blocks {
            for extreme in 0..16 {
                // Of weights and inputs: all random, all small, or all large, in all combinations.
                let mut weight = || match extreme / 4 {
                    0 => 0,
                    1 => 255,
                    2 => [0, 255][random() as usize % 2],
                    _ => random() as u8,
                };
                let weights: Vec<Quad> = (0..quads * blocks)
                    .map(|_| core::array::from_fn(|_| weight()))
                    .collect();
                let mut input = || match extreme % 4 {
                    0 => 127,
                    1 => -128,
                    2 => [-128, 127][random() as usize % 2],
                    _ => (random() as i8).into(),
                };
                let inputs: Vec<_> = (0..quads)
                    .map(|_| core::array::from_fn(|_| input()))
                    .collect();
                let sums: Vec<_> = (0..blocks)
                    .map(|_| core::array::from_fn(|_| random().cast_signed()))
                    .collect();
                compare_dots(&weights, &inputs, &sums);
            }
        }
    }
}

#[test]
fn every_weight_meets_every_kind_of_input() {
    let kinds = [-128, -127, -1, 0, 1, 2, 126, 127];
    for weight in 0..=255 {
        for input in kinds {
            for place in 0..COLUMNS {
                let mut inputs = [[0; COLUMNS]; 3];
                inputs.iter_mut().for_each(|quad| quad[place] = input);
                compare_dots(&[[weight; 16]; 3], &inputs, &[[0; ROWS_PER_QUAD]]);
            }
        }
    }
}

#[test]
fn inputs_are_widened_equally() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    for words in 0..=70 {
        // The h of a layer above may follow.
        for more in [0, 4, 100] {
            let inputs: Vec<_> = (0..2 * words + more)
                .map(|_| random.next_u32() as i8)
                .collect();
            let mut expected = std::vec![0; words];
            let total = portable::widen(&inputs, &mut expected);
            for backend in backends() {
                let mut actual = std::vec![0; words];
                assert_eq!((backend.widen)(&inputs, &mut actual), total);
                assert_eq!(actual, expected);
            }
        }
    }
}

#[test]
fn values_are_equal() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(4);
    let mut random = || random.next_u32();
    for blocks in 0..=9 {
        for (first, second) in [(0, 0), (0, 24), (7, 13), (15, 15), (16, 24)] {
            for _ in 0..500 {
                let shifts = Shifts { first, second };
                let multiplier = |random: u32| match random >> 30 {
                    0 => 0x7fff,
                    _ => random as u16 & 0x7fff,
                };
                let scales: Vec<Scales> = (0..blocks)
                    .map(|_| {
                        let multipliers: [u16; 2 * ROWS_PER_QUAD] =
                            core::array::from_fn(|_| multiplier(random()).to_le());
                        bytemuck::must_cast(multipliers)
                    })
                    .collect();
                let start: Vec<StartValues> = (0..blocks).map(|_| random().to_ne_bytes()).collect();
                // As a checked model has them: of 16 bits once they are shifted.
                let mut sum = || (random().cast_signed() >> 16) << first;
                let sums: Vec<_> = (0..blocks)
                    .map(|_| core::array::from_fn(|_| sum()))
                    .collect();
                let mut expected = sums.clone();
                portable::values(shifts, &scales, &start, &mut expected);
                for backend in backends() {
                    let mut actual = sums.clone();
                    (backend.values)(shifts, &scales, &start, &mut actual);
                    assert_eq!(actual, expected, "{shifts:?} {scales:?} {start:?} {sums:?}");
                }
            }
        }
    }
}

fn compare_cells(sums: &[[i32; ROWS_PER_QUAD]], c: &[i32]) {
    let (mut expected_c, mut expected_h) = (c.to_vec(), std::vec![0; c.len()]);
    portable::cells(sums, &mut expected_c, &mut expected_h);
    for backend in backends() {
        let (mut actual_c, mut actual_h) = (c.to_vec(), std::vec![0; c.len()]);
        (backend.cells)(sums, &mut actual_c, &mut actual_h);
        assert_eq!(
            (&actual_c, &actual_h),
            (&expected_c, &expected_h),
            "{sums:?} {c:?}"
        );
    }
}

#[test]
fn cells_are_equal() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(2);
    let mut random = || random.next_u32().cast_signed();
    for units in (0..=9).chain(28..=40) {
        for shift in [0, 8, 14, 20] {
            for _ in 0..1000 {
                let sums: Vec<_> = (0..units)
                    .map(|_| core::array::from_fn(|_| random() >> shift))
                    .collect();
                let c: Vec<_> = (0..units).map(|_| random() >> shift).collect();
                compare_cells(&sums, &c);
            }
        }
    }
}

#[test]
fn every_sum_is_activated_equally_and_every_limit_kept() {
    // Each gate in turn runs through all sums, the others standing open or half-way.
    for sum in -33_000..=33_000 {
        let sums = [
            [sum, 0, 2000, 3000],
            [3000, sum, 0, 3000],
            [3000, 0, sum, 3000],
            [3000, 9000, 100, sum],
        ];
        compare_cells(&sums, &[100_000, i32::MAX, -70_000, i32::MIN]);
    }
    let extremes = [i32::MIN, -32_768, -32_767, -1, 0, 1, 32_767, i32::MAX];
    for [a, b] in extremes.iter().flat_map(|&a| extremes.map(|b| [a, b])) {
        for [c, d] in extremes.iter().flat_map(|&c| extremes.map(|d| [c, d])) {
            compare_cells(
                &[[a, b, c, d], [b, c, d, a], [c, d, a, b], [d, a, b, c]],
                &[a, b, c, d],
            );
            compare_cells(&[[a, b, c, d]; 4], &[i32::MIN, i32::MAX, 0, -1]);
        }
    }
}

#[cfg(feature = "f32")]
#[test]
fn sums_of_floats_are_equal() {
    use super::float::{BLOCKS_AT_ONCE, Column, accumulate, accumulate_blocks};
    use crate::format::layout::ROWS;

    let mut random = Xoshiro256PlusPlus::seed_from_u64(5);
    // Of all magnitudes, so that every order of additions and every rounding left out shows.
    let mut float = || {
        let magnitude = f32::from_bits((random.next_u32() % (1 << 28)) + (100 << 23));
        if random.next_u32() % 2 == 0 {
            magnitude
        } else {
            -magnitude
        }
    };
    for columns in [0, 1, 2, 3, 31, 64, 129] {
        for longer in [0, 1] {
            let inputs: Vec<f32> = (0..columns).map(|_| float()).collect();
            let blocks: [Vec<Column>; BLOCKS_AT_ONCE] = core::array::from_fn(|_| {
                let column = |_| {
                    bytemuck::must_cast(core::array::from_fn::<u32, ROWS, _>(|_| {
                        float().to_bits().to_le()
                    }))
                };
                (0..columns + longer).map(column).collect()
            });
            let start: [[f32; ROWS]; BLOCKS_AT_ONCE] =
                core::array::from_fn(|_| core::array::from_fn(|_| float()));
            let mut actual = start;
            accumulate_blocks(
                &mut actual,
                blocks.each_ref().map(|block| &block[..]),
                &inputs,
            );
            for ((actual, start), block) in actual.iter().zip(start).zip(&blocks) {
                let expected = accumulate(start, block, &inputs);
                assert_eq!(
                    actual.map(f32::to_bits),
                    expected.map(f32::to_bits),
                    "{columns} columns"
                );
            }
        }
    }
}
