//! The runtime as a WebAssembly module: 1,000 steps of a model, and a hash of all that came out.
//!
//! `check.mjs` runs it under node; `main.rs` prints the same for the machine itself.
#![cfg_attr(target_arch = "wasm32", no_std)]

use charlet::format::{self, Cell, Header, Precision};
use charlet::layout::IntegerSections;
use charlet::{Error, Model, Sizes, State, Token, Workspace, sizes_of};

static NAMES: &[u8] = include_bytes!("../../../models/names/names.charlet");

/// An integer model whose sizes are no multiples of anything, so that every rest is met.
const HEADER: Header<'_> = Header {
    cell: Cell::Lstm,
    precision: Precision::I8,
    chars: "abcdefghijklmnopqrstu",
    vocab_size: 21,
    start: 0,
    end: None,
    embedding_size: 8,
    hidden_size: 45,
    num_layers: 2,
};

/// The hash of 1,000 steps in single precision; 0 if something is wrong with the model.
#[unsafe(no_mangle)]
pub extern "C" fn float_hash() -> u64 {
    const SIZES: Sizes = sizes_of!(NAMES);
    hash::<{ SIZES.state }, { SIZES.workspace }>(NAMES).unwrap_or(0)
}

/// The same in integers.
#[unsafe(no_mangle)]
pub extern "C" fn integer_hash() -> u64 {
    // As FORMAT.md has it: two layers' h, padded, and c; the next h and the logits.
    const H: usize = 48 / 2;
    const STATE: usize = 2 * H + 2 * 45;
    const WORKSPACE: usize = H + 21;
    let mut space = [0; 64 << 10];
    integer_model(&mut space)
        .and_then(hash::<STATE, WORKSPACE>)
        .unwrap_or(0)
}

/// FNV-1a over the state and the greedy token of every step.
fn hash<const STATE: usize, const WORKSPACE: usize>(model: &[u8]) -> Result<u64, Error> {
    let model = Model::from_bytes(model)?;
    let mut state = State::<[u32; STATE]>::zero();
    let mut workspace = Workspace::<[u32; WORKSPACE]>::new();
    let mut hash = 0xcbf2_9ce4_8422_2325;
    let mut mix = |word: u32| hash = (hash ^ u64::from(word)).wrapping_mul(0x0100_0000_01b3);
    let mut random = random(2);
    for _ in 0..1000 {
        let token = Token((random() % model.vocab().size() as u32) as u16);
        let logits = model.step(token, &mut state, &mut workspace)?;
        mix(logits.greedy().0.into());
        state.as_words().iter().for_each(|&word| mix(word));
    }
    Ok(hash)
}

/// Writes a model with random weights, and shifts that pass the runtime's check.
fn integer_model(space: &mut [u8]) -> Result<&[u8], Error> {
    let sections = IntegerSections::of(&HEADER).ok_or(Error::Sizes)?;
    let len = format::file_len(&HEADER).ok_or(Error::Sizes)?;
    let out = space.get_mut(..len).ok_or(Error::Sizes)?;
    let mut random = random(1);
    format::write(&HEADER, out, |weights| {
        let (shifts, rest) = weights.split_at_mut(sections.shifts);
        let mut values = |bytes: &mut [u8], mask: u32| {
            for value in bytes.chunks_exact_mut(2) {
                value.copy_from_slice(&((random() & mask) as u16).to_le_bytes());
            }
        };
        let (table, mut rest) = rest.split_at_mut(sections.table);
        values(table, 0xffff);
        let layers = (0..=sections.num_layers).zip(shifts.as_chunks_mut().0);
        for (layer, shift) in layers {
            let (blocks, columns) = if layer < sections.num_layers {
                (sections.hidden_size, sections.columns(layer))
            } else {
                (sections.head_blocks, sections.padded_hidden)
            };
            // 127 times 2^12 times at most 96 columns, in 15 bits.
            *shift = [11, 8];
            let (multipliers, after) = rest.split_at_mut(8 * blocks);
            values(multipliers, 0x7fff);
            let (bias, after) = after.split_at_mut(if layer == 0 { 0 } else { 8 * blocks });
            values(bias, 0x0fff);
            let (quads, after) = after.split_at_mut(4 * blocks * columns);
            values(quads, 0xffff);
            rest = after;
        }
    })?;
    Ok(out)
}

/// A linear congruential generator's upper bits.
fn random(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u32
    }
}

#[cfg(target_arch = "wasm32")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
