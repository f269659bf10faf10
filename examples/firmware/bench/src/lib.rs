//! What the benchmark computes on every target: hashes over many steps, and names.
#![no_std]

use core::fmt::{self, Write};

use charlet::{Error, Generator, Model, Sampler, State, Token, Workspace};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro128PlusPlus;

/// Bytes that start where a word may: kernels read whole words.
#[repr(align(4))]
struct Aligned<B: ?Sized>(B);

macro_rules! model {
    ($path:expr) => {{
        static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!($path));
        &FILE.0
    }};
}

/// Names, as the repository ships them: 128 hidden units.
pub static NAMES: &[u8] = model!("../../../../models/names/names-i8.charlet");
/// Random weights for 33 hidden units: an odd number of blocks and of quads.
#[cfg(feature = "random")]
static RANDOM_33: &[u8] = model!(concat!(env!("OUT_DIR"), "/random-33-8.charlet"));
/// Random weights for 128 hidden units, with one and two blocks in the head.
#[cfg(feature = "random")]
pub static RANDOM_128: [&[u8]; 2] = [
    model!(concat!(env!("OUT_DIR"), "/random-128-4.charlet")),
    model!(concat!(env!("OUT_DIR"), "/random-128-8.charlet")),
];
/// The same for 256 hidden units.
#[cfg(feature = "random")]
pub static RANDOM_256: [&[u8]; 2] = [
    model!(concat!(env!("OUT_DIR"), "/random-256-4.charlet")),
    model!(concat!(env!("OUT_DIR"), "/random-256-8.charlet")),
];

/// Memory for any of the models.
pub struct Memory {
    state: [u32; 384],
    workspace: [u32; 192],
}

impl Memory {
    /// Zeros.
    pub const fn new() -> Self {
        Self {
            state: [0; 384],
            workspace: [0; 192],
        }
    }

    /// A fresh state and workspace of a model's size.
    pub fn of(&mut self, model: &Model<'_>) -> (State<&mut [u32]>, Workspace<&mut [u32]>) {
        self.state.fill(0);
        let state = &mut self.state[..model.sizes().state];
        let workspace = &mut self.workspace[..model.sizes().workspace];
        (State::from_words(state), Workspace::from_words(workspace))
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

/// Prints everything that must be the same on all targets: a hash for each model, and names.
///
/// # Errors
/// Those of the models and of `out`.
pub fn compare(memory: &mut Memory, out: &mut impl Write) -> Result<(), Failure> {
    writeln!(out, "hash names {:08x}", hash(NAMES, memory)?)?;
    #[cfg(feature = "random")]
    let random = [(33, RANDOM_33), (128, RANDOM_128[1]), (256, RANDOM_256[1])];
    #[cfg(feature = "random")]
    for (hidden, model) in random {
        writeln!(out, "hash random-{hidden} {:08x}", hash(model, memory)?)?;
    }
    names(memory, out)
}

/// A hash of all words of the state and all logits over 1,000 steps: the first half feeds the most
/// probable token, the second draws.
fn hash(file: &[u8], memory: &mut Memory) -> Result<u32, Failure> {
    let model = Model::from_bytes(file)?;
    let (mut state, mut workspace) = memory.of(&model);
    let mut random = Xoshiro128PlusPlus::seed_from_u64(1);
    let mut token = model.vocab().start();
    let mut hash = Fnv::new();
    for step in 0..1000 {
        let logits = model.step(token, &mut state, &mut workspace)?;
        logits.iter().for_each(|logit| hash.word(logit.to_bits()));
        let sampler = if step < 500 { GREEDY } else { DRAWING };
        token = sampler.sample(logits, &mut random);
        state.as_words().iter().for_each(|&word| hash.word(word));
    }
    Ok(hash.0)
}

const GREEDY: Sampler = Sampler::greedy();
const DRAWING: Sampler = match Sampler::with_temperature(0.8) {
    Ok(sampler) => sampler,
    Err(_) => panic!("0.8 is a temperature"),
};

/// What `charlet generate names-i8.charlet -n 20 --temperature 0.8 --seed 1` prints.
fn names(memory: &mut Memory, out: &mut impl Write) -> Result<(), Failure> {
    let model = Model::from_bytes(NAMES)?;
    let mut random = Xoshiro128PlusPlus::seed_from_u64(1);
    for _ in 0..20 {
        let (mut state, mut workspace) = memory.of(&model);
        let name = Generator::new(&model, &mut state, &mut workspace, DRAWING, &mut random)?;
        write!(out, "name ")?;
        for char in name.take(64) {
            out.write_char(char)?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// Feeds `steps` tokens in turn: what the benchmark counts.
///
/// # Errors
/// None, with a state and workspace of the model.
pub fn steps(
    model: &Model<'_>,
    state: &mut State<&mut [u32]>,
    workspace: &mut Workspace<&mut [u32]>,
    steps: u16,
) -> Result<(), Error> {
    for step in 0..steps {
        model.step(Token(step % 4), state, workspace)?;
    }
    Ok(())
}

/// FNV-1a.
struct Fnv(u32);

impl Fnv {
    fn new() -> Self {
        Self(0x811c_9dc5)
    }

    fn word(&mut self, word: u32) {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
}

/// What stops the benchmark.
#[derive(Debug)]
pub enum Failure {
    /// Something is wrong with a model.
    Model(Error),
    /// Nothing can be printed.
    Print,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Model(error)
    }
}

impl From<fmt::Error> for Failure {
    fn from(_: fmt::Error) -> Self {
        Self::Print
    }
}
