//! Makes names on a chip that qemu plays, or on the desktop: the most probable ones, and those of a seed.
//! All must print the same, which is in a file beside `src` for each model.
#![cfg_attr(target_os = "none", no_std, no_main)]

use core::fmt::Write;

use app::{Failure, LONGEST, NameMaker};
use charlet::Rng;
use chip::peak_stack;
use heapless::String;

/// What names begin with: anything, a usual beginning, an unusual one, a letter that no model knows.
const BEGINNINGS: [&str; 4] = ["", "ma", "zxq", "M"];

type Name = String<LONGEST>;

#[cfg_attr(target_os = "none", chip::entry)]
fn main() -> ! {
    chip::finish(run())
}

fn run() -> Result<(), Failure> {
    let mut out = chip::out()?;
    let mut names = NameMaker::new();
    let mut stack = None;
    let mut rng = Rng::from_seed(1);
    // Into memory first: what printing takes of the stack is another matter.
    let mut name = Name::new();
    let mut print = |beginning, name: &mut Name| {
        let mut result = Ok(());
        let bytes = peak_stack(|| result = names.print(beginning, || rng.next_u32(), name));
        stack = stack.max(bytes);
        result
    };
    // What `charlet generate MODEL -n 20 --temperature 0.8 --seed 1` prints.
    for _ in 0..20 {
        name.clear();
        print("", &mut name)?;
        writeln!(out, "{name}")?;
    }
    for beginning in BEGINNINGS {
        name.clear();
        let result = print(beginning, &mut name);
        writeln!(out, "{beginning:?}: {name} {result:?}")?;
    }
    for beginning in BEGINNINGS {
        name.clear();
        let result = names.print_most_probable(beginning, &mut name);
        writeln!(out, "most probable, {beginning:?}: {name} {result:?}")?;
    }
    if let Some(stack) = stack {
        writeln!(out, "stack {stack}")?;
    }
    Ok(())
}
