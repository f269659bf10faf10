//! Prints names through the debug probe: `cargo run --release`.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use cortex_m_semihosting::{debug, hio};
use panic_halt as _;

use charlet::{Error, Rng, Sampler, SessionOf};
use core::fmt::Write;

charlet::model!(NAMES, "names.charlet");

/// Prints a name of at most 20 letters.
fn print_name(names: &mut SessionOf<NAMES>, rng: &mut Rng, out: &mut impl Write) -> Result<(), Error> {
    let sampler = const { Sampler::with_temperature(0.8) }?;
    names.start_text();
    // A write error is no reason to stop: the port may be unconnected.
    let _ = names.generate(sampler, || rng.next_u32()).write_to(out, 20, None);
    Ok(())
}

#[entry]
fn main() -> ! {
    // These are the names of `charlet generate --seed 1 --length 20 --temperature 0.8`. Any closure that
    // gives a u32 serves as well, such as one that asks the chip's own generator of random numbers.
    let (mut names, mut rng) = (NAMES.session(), Rng::from_seed(1));
    if let Ok(mut out) = hio::hstdout() {
        for _ in 0..10 {
            let _ = print_name(&mut names, &mut rng, &mut out);
            let _ = writeln!(out);
        }
    }
    loop {
        debug::exit(debug::EXIT_SUCCESS);
    }
}
