//! Makes ten names: `cargo run -p charlet --example names`.
//!
//! All memory is of a size known when this is compiled, as on a microcontroller.

use charlet::{Error, Rng, Sampler};

charlet::model!(NAMES, "../../models/names/names-i8.charlet");

fn main() -> Result<(), Error> {
    let sampler = const { Sampler::with_temperature(0.8) }?;
    let mut rng = Rng::from_seed(1);
    let mut session = NAMES.session();
    for _ in 0..10 {
        // The model ends each name itself; the limit is for the unlikely one that it doesn't.
        session.start_text();
        let name: String = session
            .generate(sampler, || rng.next_u32())
            .take(20)
            .collect();
        println!("{name}");
    }
    Ok(())
}
