//! Prints what the benchmark must print on every chip.

use bench::{Failure, Memory, compare};

fn main() -> Result<(), Failure> {
    let mut out = String::new();
    compare(&mut Memory::new(), &mut out)?;
    print!("{out}");
    Ok(())
}
