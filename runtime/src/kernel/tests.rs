//! Every backend that this machine can run equals the portable one, to the bit.

extern crate std;

use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use std::vec::Vec;

use super::{COLUMNS, Quad, ROWS_PER_QUAD, portable};

type Dot = fn(&[Quad], &[[i16; COLUMNS]], &mut [[i32; ROWS_PER_QUAD]]);
type Cells = fn(&[[i32; ROWS_PER_QUAD]], &mut [i32], &mut [i16]);

/// The backends apart from the portable one: the chosen one, and all that can be had.
fn backends() -> Vec<(Dot, Cells)> {
    let mut backends: Vec<(Dot, Cells)> = std::vec![(super::dot, super::cells)];
    #[cfg(target_arch = "x86_64")]
    if super::x86::available() {
        backends.push((
            // SAFETY: the processor has AVX2.
            |weights, inputs, sums| unsafe { super::x86::dot(weights, inputs, sums) },
            // SAFETY: as above.
            |sums, c, h| unsafe { super::x86::cells(sums, c, h) },
        ));
    }
    backends
}

#[cfg(target_arch = "x86_64")]
#[test]
fn avx2_is_found_as_std_finds_it() {
    assert_eq!(
        super::x86::available(),
        std::is_x86_feature_detected!("avx2")
    );
}

fn compare_dot(weights: &[Quad], inputs: &[[i16; COLUMNS]], sums: &[[i32; ROWS_PER_QUAD]]) {
    let mut expected = sums.to_vec();
    portable::dot(weights, inputs, &mut expected);
    for (dot, _) in backends() {
        let mut actual = sums.to_vec();
        dot(weights, inputs, &mut actual);
        let (blocks, quads) = (sums.len(), inputs.len());
        assert_eq!(actual, expected, "{blocks} blocks of {quads} quads");
    }
}

#[test]
fn dots_are_equal() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut random = || random.next_u32();
    for quads in [0, 1, 2, 3, 5, 32, 33, 64] {
        for blocks in 1..=18 {
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
                    0 => i16::MAX,
                    1 => [i16::MIN, -i16::MAX][random() as usize % 2],
                    2 => [-4096, 4096][random() as usize % 2],
                    _ => random() as i16,
                };
                let inputs: Vec<_> = (0..quads)
                    .map(|_| core::array::from_fn(|_| input()))
                    .collect();
                let sums: Vec<_> = (0..blocks)
                    .map(|_| core::array::from_fn(|_| random().cast_signed()))
                    .collect();
                compare_dot(&weights, &inputs, &sums);
            }
        }
    }
}

#[test]
fn every_weight_meets_every_kind_of_input() {
    let kinds = [i16::MIN, -32_767, -4096, -1, 0, 1, 255, 256, 4096, i16::MAX];
    for weight in 0..=255 {
        for input in kinds {
            for place in 0..COLUMNS {
                let mut inputs = [[0; COLUMNS]; 3];
                inputs.iter_mut().for_each(|quad| quad[place] = input);
                compare_dot(&[[weight; 16]; 3], &inputs, &[[0; ROWS_PER_QUAD]]);
            }
        }
    }
}

fn compare_cells(sums: &[[i32; ROWS_PER_QUAD]], c: &[i32]) {
    let (mut expected_c, mut expected_h) = (c.to_vec(), std::vec![0; c.len()]);
    portable::cells(sums, &mut expected_c, &mut expected_h);
    for (_, cells) in backends() {
        let (mut actual_c, mut actual_h) = (c.to_vec(), std::vec![0; c.len()]);
        cells(sums, &mut actual_c, &mut actual_h);
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
    for units in 0..=9 {
        for shift in [0, 8, 14, 20] {
            for _ in 0..2000 {
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
