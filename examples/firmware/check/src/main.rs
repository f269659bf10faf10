//! Prints what every target must print.

use app::Failure;
use check::{Memory, compare};

fn main() -> Result<(), Failure> {
    let mut out = String::new();
    compare(&mut Memory::new(), &mut out)?;
    print!("{out}");
    Ok(())
}
