//! Two texts at once with one model, and a fork in the middle:
//! `cargo run -p charlet --example two_states`.

use charlet::{Error, Generator, Model, Sampler, Sizes, State, Workspace, sizes_of};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro128PlusPlus;

static MODEL: &[u8] = include_bytes!("../../models/names/names.charlet");
const SIZES: Sizes = sizes_of!(MODEL);

type NameState = State<[u32; SIZES.state]>;
type NameWorkspace = Workspace<[u32; SIZES.workspace]>;

fn main() -> Result<(), Error> {
    let model = Model::from_bytes(MODEL)?;
    // The states hold the texts; the workspace holds nothing between steps, so one serves all.
    let mut workspace = NameWorkspace::new();
    let mut first = NameState::zero();
    let mut second = NameState::zero();
    read(&model, &mut first, &mut workspace, "ma")?;
    read(&model, &mut second, &mut workspace, "jo")?;
    // A copy of a state is a fork: both go on from the same beginning.
    for seed in 0..3 {
        println!("ma{}", continued(&model, first, &mut workspace, 'a', seed)?);
        println!(
            "jo{}",
            continued(&model, second, &mut workspace, 'o', seed)?
        );
    }
    Ok(())
}

/// Feeds all of a text but its last character, which is fed when the text is continued.
fn read(
    model: &Model<'_>,
    state: &mut NameState,
    workspace: &mut NameWorkspace,
    text: &str,
) -> Result<(), Error> {
    let rng = Xoshiro128PlusPlus::seed_from_u64(0);
    Generator::new(model, state, workspace, Sampler::argmax(), rng)?.prime(text)
}

/// The rest of a text whose state came to just before `last`.
fn continued(
    model: &Model<'_>,
    mut state: NameState,
    workspace: &mut NameWorkspace,
    last: char,
    seed: u64,
) -> Result<String, Error> {
    let rng = Xoshiro128PlusPlus::seed_from_u64(seed);
    let sampler = Sampler::with_temperature(0.7)?;
    let last = model.vocab().token(last).ok_or(Error::UnknownChar(last))?;
    let generator = Generator::new(model, &mut state, workspace, sampler, rng)?.start_from(last)?;
    Ok(generator.take(20).collect())
}
