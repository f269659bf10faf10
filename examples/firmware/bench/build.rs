//! Makes models of random weights for counting, and tells the linker what memory the chip has.

use std::env;
use std::fs;
use std::path::Path;

use charlet::format::{self, Cell, Header, Precision};
use charlet::layout::IntegerSections;
use rand_core::{Rng, SeedableRng};
use rand_xoshiro::Xoshiro128PlusPlus;

/// With these shifts no row of 256 weights can overflow, and states stay lively.
const SHIFTS: [u8; 2] = [12, 12];

fn main() {
    let out = env::var("OUT_DIR").expect("cargo sets it");
    let out = Path::new(&out);
    for hidden_size in [33, 128, 256] {
        for vocab_size in [4, 8] {
            let file = out.join(format!("random-{hidden_size}-{vocab_size}.charlet"));
            fs::write(file, random_model(hidden_size, vocab_size)).expect("a model is written");
        }
    }
    let target = env::var("TARGET").expect("cargo sets it");
    if target.starts_with("thumb") {
        let random = env::var_os("CARGO_FEATURE_RANDOM").is_some();
        fs::write(out.join("memory.x"), memory(&target, random)).expect("memory.x is written");
        println!("cargo:rustc-link-search={}", out.display());
        println!("cargo:rustc-link-arg-bin=bench=-Tlink.x");
    }
    println!("cargo:rerun-if-changed=build.rs");
}

/// The memory of the machine that qemu plays for a target.
fn memory(target: &str, random: bool) -> &'static str {
    if target.starts_with("thumbv6m") && !random {
        // BBC micro:bit
        "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 256K  RAM : ORIGIN = 0x20000000, LENGTH = 16K }"
    } else if target.starts_with("thumbv8m") {
        // Arm MPS2 AN505
        "MEMORY { FLASH : ORIGIN = 0x10000000, LENGTH = 4M  RAM : ORIGIN = 0x38000000, LENGTH = 4M }"
    } else {
        // Arm MPS2 AN385 and AN386
        "MEMORY { FLASH : ORIGIN = 0x00000000, LENGTH = 4M  RAM : ORIGIN = 0x20000000, LENGTH = 4M }"
    }
}

/// A model of one layer whose weights, multipliers and start values are random, the same every time.
fn random_model(hidden_size: u16, vocab_size: u16) -> Vec<u8> {
    let chars = &"abcdefgh"[..vocab_size.into()];
    let header = Header {
        cell: Cell::Lstm,
        precision: Precision::I8,
        chars,
        vocab_size,
        start: 0,
        end: None,
        embedding_size: 1,
        hidden_size,
        num_layers: 1,
    };
    let sections = IntegerSections::of(&header).expect("small sizes");
    let mut bytes = vec![0; format::file_len(&header).expect("small sizes")];
    format::write(&header, &mut bytes, |weights| {
        let mut random = Xoshiro128PlusPlus::seed_from_u64(hidden_size.into());
        let (shifts, weights) = weights.split_at_mut(sections.shifts);
        for layer in shifts.chunks_mut(2).take(2) {
            layer.copy_from_slice(&SHIFTS);
        }
        let (table, weights) = weights.split_at_mut(sections.table);
        let (layer, head) = weights.split_at_mut(sections.layers);
        let (multipliers, weights) = layer.split_at_mut(8 * usize::from(hidden_size));
        fill(table, || (random.next_u32() as i16) >> 3);
        fill(multipliers, || (random.next_u32() >> 17) as i16);
        fill_weights(weights, &mut random);
        let (multipliers, head) = head.split_at_mut(8 * sections.head_blocks);
        let (bias, weights) = head.split_at_mut(8 * sections.head_blocks);
        fill(multipliers, || (random.next_u32() >> 17) as i16);
        fill(bias, || (random.next_u32() as i16) >> 3);
        fill_weights(weights, &mut random);
    })
    .expect("the buffer has the file's length");
    bytes
}

fn fill(bytes: &mut [u8], mut value: impl FnMut() -> i16) {
    for bytes in bytes.chunks_exact_mut(2) {
        bytes.copy_from_slice(&value().to_le_bytes());
    }
}

/// -128 is no weight.
fn fill_weights(bytes: &mut [u8], random: &mut Xoshiro128PlusPlus) {
    bytes.fill_with(|| (random.next_u32() as u8).max(1));
}
