//! Messages of a few lines: every machine must make the same, to the byte, and read those that a desktop
//! made.
#![no_std]

use core::fmt::{self, Write};

use heapless::String;
use messages::{Hex, LONGEST, Messenger};

/// What is compressed, line by line.
pub const LINES: &str = include_str!("../lines.txt");
/// The messages, which the desktop made: `.ci/run refresh`.
pub const GOLDEN: &str = include_str!("../messages.txt");

/// Prints the message of each line, and then the text of each golden message. `work` is told to do
/// each: what it takes can be measured.
///
/// # Errors
/// Those of `out`.
pub fn exchange(
    messenger: &mut Messenger,
    out: &mut impl Write,
    mut work: impl FnMut(&mut dyn FnMut()),
) -> fmt::Result {
    let mut message = [0; LONGEST + 1];
    for line in LINES.lines() {
        let mut len = Ok(0);
        work(&mut || len = messenger.compress(line, &mut message));
        match len {
            Ok(len) => writeln!(out, "{}", Hex(&message[..len]))?,
            Err(error) => writeln!(out, "{error:?}")?,
        }
    }
    for line in GOLDEN.lines() {
        let message = bytes(line, &mut message);
        // Into memory first: what printing takes of the stack is another matter.
        let mut text = String::<LONGEST>::new();
        let mut result = Ok(());
        work(&mut || result = messenger.read(message, &mut text));
        match result {
            Ok(()) => writeln!(out, "{text}")?,
            Err(error) => writeln!(out, "{error:?}")?,
        }
    }
    Ok(())
}

/// The bytes of a line in hexadecimal.
fn bytes<'b>(line: &str, buffer: &'b mut [u8]) -> &'b [u8] {
    let mut len = 0;
    for (at, place) in (0..line.len()).step_by(2).zip(&mut *buffer) {
        let byte = line.get(at..at + 2).map(|hex| u8::from_str_radix(hex, 16));
        *place = byte.and_then(Result::ok).unwrap_or_default();
        len += 1;
    }
    &buffer[..len]
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;

    use super::*;

    #[test]
    fn the_desktop_makes_and_reads_them() {
        let mut out = String::new();
        exchange(&mut Messenger::new(), &mut out, |work| work()).unwrap();
        assert_eq!(out, [GOLDEN, LINES].concat());
    }
}
