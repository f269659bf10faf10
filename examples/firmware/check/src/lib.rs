//! What every target must compute to the bit: hashes of generated text, and names.
#![no_std]

use core::fmt::Write;

use app::Failure;
use charlet::{Model, Rng, Sampler, Session, State, Workspace, include_model};

/// A model that the build script made, with its name.
macro_rules! random {
    ($sizes:literal) => {
        (
            concat!("random-", $sizes),
            include_model!(concat!(env!("OUT_DIR"), "/random-", $sizes, ".charlet")),
        )
    };
}

/// Names, as the repository ships them.
static NAMES: &[u8] = include_model!("../../../../models/names/names-i8.charlet");
static NAMES_I4: &[u8] = include_model!("../../../../models/names/names-i4.charlet");
#[cfg(feature = "f32")]
static NAMES_F32: &[u8] = include_model!("../../../../models/names/names.charlet");

/// The models that are compared, with their names.
pub static MODELS: &[(&str, &[u8])] = &[
    ("names-i8", NAMES),
    ("names-i4", NAMES_I4),
    random!("i8-2x33"),
    random!("i4-2x33"),
    random!("i8-1x33-13"),
    random!("i4-2x33-13"),
    #[cfg(feature = "large")]
    random!("i8-1x128"),
    #[cfg(feature = "large")]
    random!("i8-1x256"),
    #[cfg(feature = "f32")]
    ("names-f32", NAMES_F32),
];

/// Models of 112 characters and a mark for the end, like those of messages, to count what the coder takes.
#[cfg(feature = "large")]
pub static OF_112_CHARS: &[(&str, &[u8])] =
    &[random!("i8-1x64-of-112"), random!("i8-1x128-of-112")];

/// Characters that each of them makes.
const CHARS: usize = 10_000;

/// All ways to choose a token, in turn.
const SAMPLERS: [Sampler; 3] = [Sampler::argmax(), DRAWING, RESTRICTED];

// Samplers that are constants bring no floating-point code into a firmware.
const DRAWING: Sampler = match Sampler::with_temperature(0.8) {
    Ok(sampler) => sampler,
    Err(_) => panic!("0.8 is a temperature"),
};
const RESTRICTED: Sampler = match DRAWING.top_k(5) {
    Ok(sampler) => match sampler.top_p(0.9) {
        Ok(sampler) => sampler,
        Err(_) => panic!("0.9 is a share"),
    },
    Err(_) => panic!("5 is a number of tokens"),
};

/// Memory for any of the models.
pub struct Memory {
    state: [u32; 384],
    workspace: [u32; 256],
}

impl Memory {
    /// Zeros.
    pub const fn new() -> Self {
        Self {
            state: [0; 384],
            workspace: [0; 256],
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
    for (name, file) in MODELS {
        writeln!(out, "hash {name} {:08x}", hash(file, memory)?)?;
    }
    names(memory, out)
}

/// A hash of all states, logits and tokens while a model makes [`CHARS`] characters.
fn hash(file: &[u8], memory: &mut Memory) -> Result<u32, Failure> {
    let model = Model::from_bytes(file)?;
    let (mut state, mut workspace) = memory.of(&model);
    let mut rng = Rng::from_seed(1);
    let mut token = model.vocab().start();
    let mut hash = Fnv::new();
    let mut chars = 0;
    for sampler in SAMPLERS.iter().cycle() {
        let logits = model.step(token, &mut state, &mut workspace)?;
        hash.words(logits.as_words());
        hash.words(state.as_words());
        token = sampler.sample(logits, || rng.next_u32());
        hash.words(&[token.0.into()]);
        if model.vocab().char(token).is_some() {
            chars += 1;
        } else {
            // The mark ends a text, and another starts.
            state.reset();
            token = model.vocab().start();
        }
        if chars == CHARS {
            break;
        }
    }
    Ok(hash.0)
}

/// What `charlet generate names-i8.charlet -n 20 --temperature 0.8 --seed 1` prints.
fn names(memory: &mut Memory, out: &mut impl Write) -> Result<(), Failure> {
    let model = Model::from_bytes(NAMES)?;
    let mut rng = Rng::from_seed(1);
    let (state, workspace) = memory.of(&model);
    let mut session = Session::new(&model, state, workspace)?;
    for _ in 0..20 {
        write!(out, "name ")?;
        session.start_text();
        let mut letters = session.generate(DRAWING, || rng.next_u32());
        letters.write_to(out, 64, None)?;
        writeln!(out)?;
    }
    Ok(())
}

/// FNV-1a.
struct Fnv(u32);

impl Fnv {
    fn new() -> Self {
        Self(0x811c_9dc5)
    }

    fn words(&mut self, words: &[u32]) {
        for byte in words.iter().flat_map(|word| word.to_le_bytes()) {
            self.0 = (self.0 ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
}
