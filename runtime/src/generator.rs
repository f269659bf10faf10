//! Text from a session: an iterator of characters, which writes them too.

use core::fmt;

use crate::sampler::Sampler;
use crate::session::Session;

impl<'m, S, W> Session<'m, S, W> {
    /// Goes on with the text, as an iterator of characters that the end of the text ends. A model of
    /// running text never ends one: limit it with [`Iterator::take`] or [`Generator::write_to`].
    ///
    /// The next call goes on where the last was left, with other settings if you like. A text that a
    /// limit cut off is not over: the next call continues it, and gives an empty text if the model ends
    /// it right there. Call [`start_text`](Self::start_text) first for a new one.
    pub fn generate<R: FnMut() -> u32>(
        &mut self,
        sampler: Sampler,
        random: R,
    ) -> Generator<'_, 'm, S, W, R> {
        Generator {
            session: self,
            sampler,
            random,
            has_ended: false,
        }
    }
}

/// Makes the characters of a text, until the model ends it; see [`Session::generate`].
#[must_use = "nothing is generated until it is iterated or written"]
#[derive(Debug)]
pub struct Generator<'s, 'm, S, W, R> {
    session: &'s mut Session<'m, S, W>,
    sampler: Sampler,
    random: R,
    has_ended: bool,
}

impl<S, W, R> Generator<'_, '_, S, W, R>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
    R: FnMut() -> u32,
{
    /// Writes the text until the model ends it, `max_chars` are written, or `stop` was made, which is
    /// fed but not written. The session can go on from there. After [`Ending::EndOfText`] this
    /// generator is finished: the next text needs another.
    ///
    /// ```
    /// use charlet::{Ending, Rng, Sampler};
    ///
    /// charlet::model!(NAMES, "../doc/names-tiny.charlet");
    ///
    /// let sampler = const { Sampler::with_temperature(0.8) }?;
    /// let mut rng = Rng::from_seed(1);
    /// let mut session = NAMES.session();
    /// // Or a serial port, or a display.
    /// let mut name = heapless::String::<20>::new();
    /// let mut letters = session.generate(sampler, || rng.next_u32());
    /// assert_eq!(letters.write_to(&mut name, 20, None), Ok(Ending::EndOfText));
    /// # assert_eq!(name, "lisije");
    /// # Ok::<(), charlet::Error>(())
    /// ```
    ///
    /// # Errors
    /// Those of `out`, which a string gives that is full. The character that it refused is the last
    /// one of the session.
    pub fn write_to(
        &mut self,
        out: &mut impl fmt::Write,
        max_chars: usize,
        stop: Option<char>,
    ) -> Result<Ending, fmt::Error> {
        for _ in 0..max_chars {
            match self.next() {
                None => return Ok(Ending::EndOfText),
                char if char == stop => return Ok(Ending::StopChar),
                Some(char) => out.write_char(char)?,
            }
        }
        Ok(Ending::MaxChars)
    }
}

/// Why [`Generator::write_to`] wrote no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Ending {
    /// The model ended the text.
    EndOfText,
    /// As many characters were written as were allowed. The text is not over.
    MaxChars,
    /// The stop character came, which was not written.
    StopChar,
}

impl<S, W, R> Iterator for Generator<'_, '_, S, W, R>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
    R: FnMut() -> u32,
{
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if self.has_ended {
            return None;
        }
        let char = self.session.next_char(self.sampler, &mut self.random);
        self.has_ended = char.is_none();
        char
    }
}

impl<S, W, R> core::iter::FusedIterator for Generator<'_, '_, S, W, R>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
    R: FnMut() -> u32,
{
}
