//! Compressed text: the model's probabilities and an arithmetic coder. `COMPRESSION.md` is the definition.

mod check;
mod escape;
mod range;

use core::fmt;

use crate::error::Error;
use crate::format::utf8::Chars;
use crate::sampler::weights;
use crate::session::Session;
use crate::vocab::{Token, Vocab};
use check::Crc8;
use escape::Escape;
use range::{Part, RangeDecoder, RangeEncoder};

/// The first byte of a message that is stored as UTF-8. No coded message starts with it.
const STORED: u8 = 0xff;

/// Bits of the sum of all weights, before each token gets 1 more.
const TOTAL_BITS: u32 = 21;

/// Compresses a text, character by character.
///
/// It gives the coded form only, which for text that the model doesn't expect may be longer than the
/// text: [`Session::compress`] then stores it instead.
///
/// ```
/// use charlet::{Encoder, Error};
///
/// charlet::model!(NAMES, "../doc/names-tiny.charlet");
///
/// let mut session = NAMES.session();
/// // Or a closure that sends each byte.
/// let mut message = heapless::Vec::<u8, 16>::new();
/// let mut encoder = Encoder::new(&mut session, |byte| {
///     message.push(byte).map_err(|_| Error::BufferFull)
/// });
/// for char in "katharina".chars() {
///     encoder.push(char)?;
/// }
/// encoder.finish()?;
/// assert_eq!(message.len(), 3);
/// # Ok::<(), Error>(())
/// ```
#[must_use = "nothing is written before `finish`"]
#[derive(Debug)]
pub struct Encoder<'s, 'm, S, W, O> {
    session: &'s mut Session<'m, S, W>,
    out: O,
    range: RangeEncoder,
    escape: Escape,
    check: Option<Crc8>,
}

impl<'s, 'm, S, W, O> Encoder<'s, 'm, S, W, O>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
    O: FnMut(u8) -> Result<(), Error>,
{
    /// Starts a text, whose own the session gives up. `out` takes the bytes.
    pub fn new(session: &'s mut Session<'m, S, W>, out: O) -> Self {
        session.start_text();
        Self {
            session,
            out,
            range: RangeEncoder::new(),
            escape: Escape::new(),
            check: None,
        }
    }

    /// Adds 8 bits to the end that tell a damaged message from a whole one. To be called before the
    /// first character.
    pub fn with_check(mut self) -> Self {
        self.check = Some(Crc8::new());
        self
    }

    /// Compresses the next character: one step of the model. Any character will do.
    ///
    /// # Errors
    /// Those of the closure that takes the bytes; the message is then lost.
    pub fn push(&mut self, char: char) -> Result<(), Error> {
        if let Some(check) = &mut self.check {
            check.update(char);
        }
        match self.session.model().vocab().token(char) {
            Some(token) => self.symbol(token.index()),
            None => {
                self.symbol(escape_symbol(self.session.model().vocab()))?;
                self.escape.encode(char, &mut self.range, &mut self.out)
            }
        }
    }

    /// Ends the text and writes the rest. The session is then at the start of a text.
    ///
    /// # Errors
    /// Those of the closure that takes the bytes.
    pub fn finish(mut self) -> Result<(), Error> {
        let vocab = self.session.model().vocab();
        match vocab.end() {
            Some(end) => self.symbol(end.index())?,
            None => {
                self.symbol(escape_symbol(vocab))?;
                Escape::encode_end(&mut self.range, &mut self.out)?;
            }
        }
        if let Some(check) = self.check {
            let part = Part::of_bits(check.finish().into(), 8);
            self.range.encode(part, &mut self.out)?;
        }
        self.session.start_text();
        self.range.finish(&mut self.out)
    }

    fn symbol(&mut self, symbol: usize) -> Result<(), Error> {
        let part = frequencies(self.session).part(symbol);
        feed(self.session, symbol);
        self.range.encode(part, &mut self.out)
    }
}

/// Reads a compressed text, character by character.
///
/// Any bytes are safe: wrong ones give an error, or wrong text, which may not end. Limit the number of
/// characters, as [`Session::decompress`] does.
///
/// ```
/// use charlet::Decoder;
///
/// charlet::model!(NAMES, "../doc/names-tiny.charlet");
///
/// let mut message = [0; 16];
/// let mut session = NAMES.session();
/// let len = session.compress("katharina", &mut message)?;
/// // Or bytes as they arrive: any iterator.
/// let mut decoder = Decoder::new(&mut session, message[..len].iter().copied());
/// assert_eq!(decoder.next_char()?, Some('k'));
/// assert_eq!(decoder.next_char()?, Some('a'));
/// # Ok::<(), charlet::Error>(())
/// ```
#[must_use = "nothing is read before `next_char`"]
#[derive(Debug)]
pub struct Decoder<'s, 'm, S, W, I> {
    session: &'s mut Session<'m, S, W>,
    bytes: I,
    form: Form,
    check: Option<Crc8>,
}

/// How a message goes on.
#[derive(Debug)]
enum Form {
    /// Its first byte was not looked at.
    Unread,
    /// The check byte stands before the text.
    Stored {
        check: Option<u8>,
    },
    Coded {
        range: RangeDecoder,
        escape: Escape,
    },
    /// It is over.
    Ended,
}

impl<'s, 'm, S, W, I> Decoder<'s, 'm, S, W, I>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
    I: Iterator<Item = u8>,
{
    /// Starts a text, whose own the session gives up. The message ends where `bytes` end.
    pub fn new(session: &'s mut Session<'m, S, W>, bytes: I) -> Self {
        session.start_text();
        Self {
            session,
            bytes,
            form: Form::Unread,
            check: None,
        }
    }

    /// Compares the check that [`Encoder::with_check`] added.
    pub fn with_check(mut self) -> Self {
        self.check = Some(Crc8::new());
        self
    }

    /// The next character, or `None` behind the last: at most one step of the model.
    ///
    /// # Errors
    /// [`Error::CorruptMessage`], after which there are no more characters.
    pub fn next_char(&mut self) -> Result<Option<char>, Error> {
        let next = self.next();
        match next {
            Ok(Some(char)) => {
                if let Some(check) = &mut self.check {
                    check.update(char);
                }
            }
            Ok(None) | Err(_) => {
                self.form = Form::Ended;
                self.session.start_text();
            }
        }
        next
    }

    fn next(&mut self) -> Result<Option<char>, Error> {
        if let Form::Unread = self.form {
            self.form = match self.bytes.next() {
                Some(STORED) => Form::Stored {
                    check: self.check.and_then(|_| self.bytes.next()),
                },
                first => Form::Coded {
                    range: RangeDecoder::new(first.unwrap_or(0), &mut self.bytes),
                    escape: Escape::new(),
                },
            };
        }
        let (char, check) = match &mut self.form {
            Form::Unread | Form::Ended => return Ok(None),
            Form::Stored { check } => (stored_char(&mut self.bytes)?, *check),
            Form::Coded { range, escape } => {
                let frequencies = frequencies(self.session);
                let (symbol, part) = frequencies.find(range.position(frequencies.total)?);
                range.decode(part, &mut self.bytes);
                let vocab = self.session.model().vocab();
                let char = if symbol == escape_symbol(vocab) {
                    escape.decode(range, &mut self.bytes)?
                } else {
                    let char = vocab.char(Token(symbol as u16));
                    if char.is_none() && vocab.end().map(Token::index) != Some(symbol) {
                        return Err(Error::CorruptMessage);
                    }
                    char
                };
                feed(self.session, symbol);
                let check = match (char, &self.check) {
                    (None, Some(_)) => Some(range.decode_bits(8, &mut self.bytes)? as u8),
                    _ => None,
                };
                (char, check)
            }
        };
        match (char, &self.check) {
            (None, Some(expected)) if check != Some(expected.finish()) => {
                Err(Error::CorruptMessage)
            }
            _ => Ok(char),
        }
    }
}

/// Whole messages.
impl<S, W> Session<'_, S, W>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
{
    /// Compresses a text into `message`, of which it tells how many bytes it took: at most one more than
    /// the text has. Any text will do. The session's own text is given up.
    ///
    /// The same model gives the same bytes on every chip. It takes a step for each character and one for
    /// the end.
    ///
    /// ```
    /// charlet::model!(NAMES, "../doc/names-tiny.charlet");
    ///
    /// let mut session = NAMES.session();
    /// let mut message = [0; 16];
    /// let len = session.compress("katharina", &mut message)?;
    /// assert_eq!(len, 3);
    /// let mut text = heapless::String::<32>::new();
    /// session.decompress(&message[..len], &mut text, 32)?;
    /// assert_eq!(text, "katharina");
    /// # Ok::<(), charlet::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BufferFull`] if `message` is too short.
    pub fn compress(&mut self, text: &str, message: &mut [u8]) -> Result<usize, Error> {
        self.compress_with(None, text, message)
    }

    /// The same with 8 bits at the end that tell a damaged message from a whole one.
    ///
    /// # Errors
    /// [`Error::BufferFull`] if `message` is too short.
    pub fn compress_checked(&mut self, text: &str, message: &mut [u8]) -> Result<usize, Error> {
        self.compress_with(Some(Crc8::new()), text, message)
    }

    /// Reads the text of a message of the same model, at most `max_chars` characters, and tells how many
    /// there were. The session's own text is given up.
    ///
    /// Any bytes are safe. Damaged ones give an error or, as nothing in them is checked, a wrong text.
    ///
    /// # Errors
    /// [`Error::CorruptMessage`], or [`Error::BufferFull`] if the text has more characters or `text`
    /// takes no more.
    pub fn decompress(
        &mut self,
        message: &[u8],
        text: &mut impl fmt::Write,
        max_chars: usize,
    ) -> Result<usize, Error> {
        write_chars(Decoder::new(self, message.iter().copied()), text, max_chars)
    }

    /// The same for a message of [`compress_checked`](Self::compress_checked). What was written is to be
    /// used only when it is known to be right: at the end.
    ///
    /// # Errors
    /// Those of [`decompress`](Self::decompress).
    pub fn decompress_checked(
        &mut self,
        message: &[u8],
        text: &mut impl fmt::Write,
        max_chars: usize,
    ) -> Result<usize, Error> {
        let decoder = Decoder::new(self, message.iter().copied()).with_check();
        write_chars(decoder, text, max_chars)
    }

    fn compress_with(
        &mut self,
        check: Option<Crc8>,
        text: &str,
        message: &mut [u8],
    ) -> Result<usize, Error> {
        let stored = 1 + usize::from(check.is_some()) + text.len();
        let mut len = 0;
        let mut encoder = Encoder::new(self, |byte| {
            let place = message.get_mut(len).ok_or(Error::BufferFull)?;
            *place = byte;
            len += 1;
            // As long as the text is, it is better stored.
            if len < stored {
                Ok(())
            } else {
                Err(Error::BufferFull)
            }
        });
        encoder.check = check;
        if encode(encoder, text).is_ok() {
            return Ok(len);
        }
        self.start_text();
        let first = [Some(STORED), check.map(|check| check.of(text))];
        let bytes = first.into_iter().flatten().chain(text.bytes());
        let place = message.get_mut(..stored).ok_or(Error::BufferFull)?;
        for (place, byte) in place.iter_mut().zip(bytes) {
            *place = byte;
        }
        Ok(stored)
    }
}

fn encode<S, W, O>(mut encoder: Encoder<'_, '_, S, W, O>, text: &str) -> Result<(), Error>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
    O: FnMut(u8) -> Result<(), Error>,
{
    for char in text.chars() {
        encoder.push(char)?;
    }
    encoder.finish()
}

fn write_chars<S, W, I>(
    mut decoder: Decoder<'_, '_, S, W, I>,
    text: &mut impl fmt::Write,
    max_chars: usize,
) -> Result<usize, Error>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
    I: Iterator<Item = u8>,
{
    let mut chars = 0;
    while let Some(char) = decoder.next_char()? {
        if chars == max_chars || text.write_char(char).is_err() {
            return Err(Error::BufferFull);
        }
        chars += 1;
    }
    Ok(chars)
}

/// The next character of a stored text, or `None` behind the last.
fn stored_char(bytes: &mut impl Iterator<Item = u8>) -> Result<Option<char>, Error> {
    let Some(first) = bytes.next() else {
        return Ok(None);
    };
    let mut code = [first, 0, 0, 0];
    let len = first.leading_ones().max(1) as usize;
    // What starts no character is refused with it.
    for place in code.iter_mut().take(len).skip(1) {
        *place = bytes.next().ok_or(Error::CorruptMessage)?;
    }
    match Chars(&code).take_char() {
        Some(char) => Ok(Some(char)),
        None => Err(Error::CorruptMessage),
    }
}

/// The symbol for a character that the model doesn't know: its mark or, where it has none, one behind
/// all tokens.
fn escape_symbol(vocab: &Vocab<'_>) -> usize {
    vocab.unknown().map_or(vocab.size(), Token::index)
}

/// Lets the model go on after a symbol.
fn feed<S, W>(session: &mut Session<'_, S, W>, symbol: usize)
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
{
    let vocab = session.model().vocab();
    // A model without a mark goes on as after the start of a text.
    let token = if symbol < vocab.size() {
        Token(symbol as u16)
    } else {
        vocab.start()
    };
    session.set_next_input(token);
}

/// How often each symbol is to be expected: the tokens and, without a mark for unknown characters, one
/// more with a frequency of 1.
struct Frequencies<'w> {
    of_tokens: &'w [u32],
    total: u32,
}

/// Feeds the next input and weighs what may follow.
fn frequencies<'s, S, W>(session: &'s mut Session<'_, S, W>) -> Frequencies<'s>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
{
    let escape = u32::from(session.model().vocab().unknown().is_none());
    let weights = weights(session.step());
    // At most 65,535 of 2^16: no overflow.
    let sum: u32 = weights.iter().sum();
    let bits = u32::BITS - sum.leading_zeros();
    let (left, right) = (
        TOTAL_BITS.saturating_sub(bits),
        bits.saturating_sub(TOTAL_BITS),
    );
    let mut total = escape;
    for weight in weights.iter_mut() {
        *weight = (*weight << left >> right) + 1;
        total += *weight;
    }
    Frequencies {
        of_tokens: weights,
        total,
    }
}

impl Frequencies<'_> {
    fn part(&self, symbol: usize) -> Part {
        let mut start = 0;
        let mut frequency = 1;
        for (at, &of_token) in self.of_tokens.iter().enumerate() {
            if at == symbol {
                frequency = of_token;
                break;
            }
            start += of_token;
        }
        Part {
            start,
            frequency,
            total: self.total,
        }
    }

    /// The symbol in whose part a position lies.
    fn find(&self, position: u32) -> (usize, Part) {
        let mut start = 0;
        let mut symbol = 0;
        let mut frequency = 1;
        for &of_token in self.of_tokens {
            if position.wrapping_sub(start) < of_token {
                frequency = of_token;
                break;
            }
            start += of_token;
            symbol += 1;
        }
        let part = Part {
            start,
            frequency,
            total: self.total,
        };
        (symbol, part)
    }
}
