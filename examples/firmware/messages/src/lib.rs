//! Text as the few bytes that a radio packet has room for, and back. A board brings a port for lines of
//! text, and a radio.
#![no_std]

use core::fmt::{self, Write};

use charlet::{Error, SessionOf};

charlet::model!(
    /// The model, in flash: that of build.rs, or the one that the environment variable
    /// `MESSAGES_MODEL` named when this was built. Who reads a message must have the same.
    pub MESSAGES,
    concat!("../../../../models/", env!("MESSAGES_MODEL"), ".charlet")
);

/// Bytes of the longest text; its message has at most one more.
pub const LONGEST: usize = 200;

/// Compresses and reads texts, in memory of its own: a variable of `main`, or a static.
#[derive(Debug)]
pub struct Messenger {
    session: SessionOf<MESSAGES>,
}

impl Messenger {
    /// The model was checked while compiling.
    #[expect(clippy::new_without_default, reason = "a static needs a constant")]
    pub const fn new() -> Self {
        Self {
            session: MESSAGES.session(),
        }
    }

    /// Compresses a text, and tells how many bytes of `message` it took: at most one more than the text
    /// has.
    ///
    /// # Errors
    /// [`Error::BufferFull`] if `message` has no room for it.
    pub fn compress(&mut self, text: &str, message: &mut [u8]) -> Result<usize, Error> {
        self.session.compress(text, message)
    }

    /// Prints the text of a message.
    ///
    /// # Errors
    /// [`Error::CorruptMessage`], and [`Error::BufferFull`] if it is longer than texts are.
    pub fn read(&mut self, message: &[u8], text: &mut impl Write) -> Result<(), Error> {
        self.session.decompress(message, text, LONGEST)?;
        Ok(())
    }
}

/// Bytes in hexadecimal.
#[derive(Clone, Copy, Debug)]
pub struct Hex<'b>(pub &'b [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(to, "{byte:02x}"))
    }
}
