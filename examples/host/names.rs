//! Makes ten names: `cargo run -p charlet --example names`.
//!
//! All memory is static and its size known when this is compiled, as on a microcontroller.

use charlet::{Error, Generator, Model, Sampler, Sizes, State, Workspace, sizes_of};
use rand_core::SeedableRng;
use rand_xoshiro::Xoshiro128PlusPlus;

static MODEL: &[u8] = include_bytes!("../../models/names/names.charlet");
const SIZES: Sizes = sizes_of!(MODEL);

fn main() -> Result<(), Error> {
    let model = Model::from_bytes(MODEL)?;
    let mut state = State::<[u32; SIZES.state]>::zero();
    let mut workspace = Workspace::<[u32; SIZES.workspace]>::new();
    let mut rng = Xoshiro128PlusPlus::seed_from_u64(1);
    let sampler = Sampler::with_temperature(0.8)?;
    for _ in 0..10 {
        state.reset();
        let name = Generator::new(&model, &mut state, &mut workspace, sampler, &mut rng)?;
        // A model of lines ends each itself; the limit is for the unlikely one that it doesn't.
        for char in name.take(20) {
            print!("{char}");
        }
        println!();
    }
    Ok(())
}
