//! A desktop, so that what runs on the chips can be run beside them.

use std::fmt;
use std::process;

/// Standard output.
pub struct Stdout;

impl fmt::Write for Stdout {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        print!("{text}");
        Ok(())
    }
}

/// Where text goes.
///
/// # Errors
/// None.
pub fn out() -> Result<Stdout, fmt::Error> {
    Ok(Stdout)
}

/// Ends the program.
pub fn exit(success: bool) -> ! {
    process::exit(i32::from(!success))
}

/// Runs something. What it takes of the stack is of interest on chips only.
pub fn peak_stack(work: impl FnOnce()) -> Option<usize> {
    work();
    None
}
