//! Two texts at once with one model, and forks in the middle: `cargo run -p charlet --example fork`.

use charlet::{Error, Rng, Sampler, SessionOf};

charlet::model!(NAMES, "../../models/names/names-i8.charlet");

fn main() -> Result<(), Error> {
    let (mut first, mut second) = (NAMES.session(), NAMES.session());
    first.prompt("ma")?;
    second.prompt("jo")?;
    for seed in 0..3 {
        // A clone is a fork: all go on from the same beginning.
        println!("ma{}", continued(first.clone(), seed)?);
        println!("jo{}", continued(second.clone(), seed)?);
    }
    Ok(())
}

/// The rest of a text.
fn continued(mut session: SessionOf<NAMES>, seed: u64) -> Result<String, Error> {
    let sampler = const { Sampler::with_temperature(0.7) }?;
    let mut rng = Rng::from_seed(seed);
    Ok(session
        .generate(sampler, || rng.next_u32())
        .take(20)
        .collect())
}
