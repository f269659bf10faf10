//! Makes models of random weights, the same every time.

use std::env;
use std::fs;
use std::path::Path;

use charlet::format::layout::{IntegerSections, SECTION_ALIGN, WeightBits};
use charlet::format::{self, Cell, Header, Input, Precision};
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro128PlusPlus;

/// Layers, hidden units, tokens and embedding of each model; without an embedding it has a table.
const MODELS: [(Precision, [u16; 4]); 8] = [
    // Sizes that are no multiples of anything, so that every rest is met.
    (Precision::I8, [2, 33, 21, 0]),
    (Precision::I4, [2, 33, 21, 0]),
    // These in i4 have a small head, too.
    (Precision::I8, [1, 33, 21, 13]),
    (Precision::I4, [2, 33, 21, 13]),
    // For counting: the smallest head, and common sizes.
    (Precision::I8, [1, 128, 4, 0]),
    (Precision::I8, [1, 256, 4, 0]),
    // The alphabet of messages, and the mark at their end.
    (Precision::I8, [1, 64, LARGE_VOCAB, 0]),
    (Precision::I8, [1, 128, LARGE_VOCAB, 0]),
];
/// 112 characters and a mark.
const LARGE_VOCAB: u16 = 113;
/// With this second shift states stay lively.
const SECOND_SHIFT: u8 = 11;

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    for (precision, sizes @ [layers, hidden, vocab, embedding]) in MODELS {
        let input = match embedding {
            0 => String::new(),
            _ => format!("-{embedding}"),
        };
        let chars = match vocab {
            LARGE_VOCAB => "-of-112",
            _ => "",
        };
        let file = format!("random-{precision}-{layers}x{hidden}{input}{chars}.charlet");
        let model = random_model(precision, sizes);
        fs::write(Path::new(&out).join(file), model).expect("a model is written");
    }
    println!("cargo:rerun-if-changed=build.rs");
}

/// A model whose weights, multipliers and start values are random. So is what pads them, which nothing
/// may depend on.
fn random_model(
    precision: Precision,
    [num_layers, hidden_size, vocab_size, embedding_size]: [u16; 4],
) -> Vec<u8> {
    let is_embedded = embedding_size > 0;
    let is_large = vocab_size == LARGE_VOCAB;
    let chars: String = if is_large {
        (' '..='~').chain('\u{e0}'..).take(112).collect()
    } else {
        ('a'..='z').take(vocab_size.into()).collect()
    };
    let header = Header {
        cell: Cell::Lstm,
        precision,
        chars: &chars,
        vocab_size,
        start: 0,
        end: is_large.then_some(vocab_size - 1),
        embedding_size: embedding_size.max(1),
        hidden_size,
        num_layers,
        has_unknown: false,
        input: if is_embedded {
            Input::Embedding
        } else {
            Input::Table
        },
        head_bits: if is_embedded && precision == Precision::I4 {
            WeightBits::Four
        } else {
            WeightBits::Eight
        },
    };
    let sections = IntegerSections::of(&header).expect("small sizes");
    let mut bytes = vec![0; format::file_len(&header).expect("small sizes")];
    format::write(&header, &mut bytes, |weights| {
        let mut random = Xoshiro128PlusPlus::seed_from_u64(hidden_size.into());
        let (shifts, rest) = weights.split_at_mut(SECTION_ALIGN * sections.shifts());
        for (part, shifts) in (0..=sections.num_layers).zip(shifts.as_chunks_mut().0) {
            *shifts = [first_shift(&sections, part), SECOND_SHIFT];
        }
        // All else is random. In the place of a multiplier that needs its highest bit to be 0.
        rest.fill_with(|| random.next_u32() as u8);
        let (mut sections_left, _) = rest.as_chunks_mut::<SECTION_ALIGN>();
        let mut section = |len| {
            let section = sections_left.split_off_mut(..len);
            section.expect("the sections' lengths").as_flattened_mut()
        };
        section(sections.input());
        for part in 0..=sections.num_layers {
            let blocks = sections.blocks(part);
            for multiplier in section(blocks).as_chunks_mut::<2>().0 {
                multiplier[1] &= 0x7f;
            }
            section(sections.start(part));
            let weights = section(blocks * sections.quads(part));
            if sections.bits(part) == WeightBits::Eight {
                weights.iter_mut().for_each(|weight| *weight &= 0x7f);
            }
        }
    })
    .expect("the buffer has the file's length");
    bytes
}

/// The smallest with which no row can overflow: the largest weight times the largest h for each
/// column, in 15 bits.
fn first_shift(sections: &IntegerSections, part: usize) -> u8 {
    let columns = sections.columns(part);
    let product_bits = match sections.bits(part) {
        WeightBits::Eight => 6 + 7,
        WeightBits::Four => 3 + 7,
    };
    let sum_bits = columns.next_power_of_two().ilog2() + product_bits;
    sum_bits.saturating_sub(14) as u8
}
