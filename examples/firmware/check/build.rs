//! Makes models of random weights, the same every time.

use std::env;
use std::fs;
use std::path::Path;

use charlet::format::{self, Cell, Header, Precision};
use charlet::layout::{IntegerSections, ROWS_PER_QUAD};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro128PlusPlus;

/// Layers, hidden units and tokens of each model.
const MODELS: [(Precision, [u16; 3]); 3] = [
    // Sizes that are no multiples of anything, so that every rest is met.
    (Precision::I8, [2, 33, 21]),
    // For counting: the smallest head, and common sizes.
    (Precision::I8, [1, 128, 4]),
    (Precision::I8, [1, 256, 4]),
];
/// With this second shift states stay lively.
const SECOND_SHIFT: u8 = 11;

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    for (precision, sizes @ [layers, hidden, _]) in MODELS {
        let file = format!("random-{precision}-{layers}x{hidden}.charlet");
        let model = random_model(precision, sizes);
        fs::write(Path::new(&out).join(file), model).expect("a model is written");
    }
    println!("cargo:rerun-if-changed=build.rs");
}

/// A model whose weights, multipliers and start values are random. So are those of padding, which
/// nothing may depend on.
fn random_model(precision: Precision, [num_layers, hidden_size, vocab_size]: [u16; 3]) -> Vec<u8> {
    let header = Header {
        cell: Cell::Lstm,
        precision,
        chars: &"abcdefghijklmnopqrstuvwxyz"[..vocab_size.into()],
        vocab_size,
        start: 0,
        end: None,
        embedding_size: 1,
        hidden_size,
        num_layers,
    };
    let sections = IntegerSections::of(&header).expect("small sizes");
    let mut bytes = vec![0; format::file_len(&header).expect("small sizes")];
    format::write(&header, &mut bytes, |weights| {
        let mut random = Xoshiro128PlusPlus::seed_from_u64(hidden_size.into());
        let (shifts, weights) = weights.split_at_mut(sections.shifts);
        let (table, mut rest) = weights.split_at_mut(sections.table);
        fill_start(table, &mut random);
        let (shifts, _) = shifts.as_chunks_mut();
        for (layer, shifts) in shifts.iter_mut().enumerate().take(sections.num_layers + 1) {
            let (blocks, columns) = if layer < sections.num_layers {
                (sections.hidden_size, sections.columns(layer))
            } else {
                (sections.head_blocks, sections.padded_hidden)
            };
            *shifts = [first_shift(columns), SECOND_SHIFT];
            let mut section = |len| rest.split_off_mut(..len).expect("the sections' lengths");
            fill(section(8 * blocks), || (random.next_u32() >> 17) as i16);
            // The first layer starts with a row of the table instead.
            if layer > 0 {
                fill_start(section(8 * blocks), &mut random);
            }
            // 0 would be -128, which is no weight.
            section(ROWS_PER_QUAD * blocks * columns)
                .fill_with(|| (random.next_u32() as u8).max(1));
        }
    })
    .expect("the buffer has the file's length");
    bytes
}

/// The smallest with which no row can overflow: 127 times 2^12 for each column, in 15 bits.
fn first_shift(columns: usize) -> u8 {
    columns.next_power_of_two().ilog2() as u8 + 4
}

/// Random start values from -1 to 1.
fn fill_start(bytes: &mut [u8], random: &mut Xoshiro128PlusPlus) {
    fill(bytes, || (random.next_u32() as i16) >> 4);
}

fn fill(bytes: &mut [u8], mut value: impl FnMut() -> i16) {
    for bytes in bytes.chunks_exact_mut(2) {
        bytes.copy_from_slice(&value().to_le_bytes());
    }
}
