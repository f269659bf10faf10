//! Makes names from random numbers as hardware crates have them: of rand_core 0.6, of 0.9, or of none.
//! All must be the same: a closure is all that sampling asks for.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::fmt::Write;

use app::{Failure, NameMaker};
use charlet::Rng;

/// One number of a generator that knows only its version of rand_core.
#[cfg(feature = "rand_core_0_6")]
fn number(rng: &mut impl rand_core_0_6::RngCore) -> u32 {
    rng.next_u32()
}

#[cfg(feature = "rand_core_0_9")]
fn number(rng: &mut impl rand_core_0_9::RngCore) -> u32 {
    rng.next_u32()
}

#[cfg(not(any(feature = "rand_core_0_6", feature = "rand_core_0_9")))]
fn number(rng: &mut Rng) -> u32 {
    rng.next_u32()
}

#[cfg_attr(target_os = "none", chip::entry)]
fn main() -> ! {
    chip::finish(run())
}

fn run() -> Result<(), Failure> {
    let mut out = chip::out()?;
    let mut names = NameMaker::new();
    let mut rng = Rng::from_seed(1);
    for _ in 0..20 {
        names.print("", || number(&mut rng), &mut out)?;
        writeln!(out)?;
    }
    Ok(())
}
