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
use range::{RangeDecoder, RangeEncoder};

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
/// charlet::model!(NAMES, "../../doc/names-tiny.charlet");
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
/// assert_eq!(message.len(), 4);
/// # Ok::<(), Error>(())
/// ```
#[must_use = "nothing is written before `finish`"]
#[derive(Debug)]
pub struct Encoder<'s, 'm, S, W, O> {
    session: &'s mut Session<'m, S, W>,
    range: RangeEncoder<O>,
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
            range: RangeEncoder::new(out),
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
        self.check = self.check.map(|check| check.update(char));
        self.symbol(Some(char));
        self.range.result
    }

    /// Ends the text and writes the rest. The session is then at the start of a text.
    ///
    /// # Errors
    /// Those of the closure that takes the bytes.
    pub fn finish(self) -> Result<(), Error> {
        let check = self.check.map(Crc8::finish);
        self.rest("", check)
    }

    /// What is left of a text, its end, and its check.
    fn rest(mut self, text: &str, check: Option<u8>) -> Result<(), Error> {
        let mut chars = Chars(text.as_bytes());
        loop {
            let char = chars.take_char();
            self.symbol(char);
            if char.is_none() || self.range.result.is_err() {
                break;
            }
        }
        if let Some(check) = check {
            self.range.encode_bits(check.into(), 8);
        }
        self.range.finish();
        self.session.start_text();
        self.range.result
    }

    /// A character, or the end of the text.
    fn symbol(&mut self, char: Option<char>) {
        let vocab = self.session.model().vocab();
        let token = match char {
            Some(char) => vocab.token(char),
            None => vocab.end(),
        };
        let symbol = token.map_or(escape_symbol(vocab), Token::index);
        let frequencies = frequencies(self.session);
        let (_, start, frequency) = frequencies.find(symbol, u32::MAX);
        self.range.encode(start, frequency, frequencies.total);
        feed(self.session, symbol);
        if token.is_none() {
            self.escape.encode(char, &mut self.range);
        }
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
/// charlet::model!(NAMES, "../../doc/names-tiny.charlet");
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
    range: RangeDecoder<I>,
    escape: Escape,
    form: Form,
    check: Option<Crc8>,
}

/// How a message goes on.
#[derive(Debug)]
enum Form {
    /// Its first byte was not looked at.
    Unread,
    /// As text, with the check that stood before it.
    Stored(Option<u8>),
    Coded,
    /// It is over.
    Ended,
}

/// Bytes that are no message.
#[derive(Clone, Copy, Debug)]
struct Corrupt;

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
            range: RangeDecoder::new(bytes),
            escape: Escape::new(),
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
        let next = self.next(self.check.map(Crc8::finish));
        if let Ok(Some(char)) = next {
            self.check = self.check.map(|check| check.update(char));
        }
        next.map_err(|Corrupt| Error::CorruptMessage)
    }

    /// The next character, or the end, whose check must be this one.
    fn next(&mut self, check: Option<u8>) -> Result<Option<char>, Corrupt> {
        let next = self.read(check);
        if !matches!(next, Ok(Some(_))) {
            self.form = Form::Ended;
            self.session.start_text();
        }
        next
    }

    fn read(&mut self, check: Option<u8>) -> Result<Option<char>, Corrupt> {
        if let Form::Unread = self.form {
            let first = self.range.bytes.next().unwrap_or(0);
            self.form = if first == STORED {
                Form::Stored(check.and_then(|_| self.range.bytes.next()))
            } else {
                self.range.start(first);
                Form::Coded
            };
        }
        let char = match self.form {
            Form::Unread | Form::Ended => return Ok(None),
            Form::Stored(_) => stored_char(&mut self.range.bytes)?,
            Form::Coded => self.symbol()?,
        };
        if char.is_none() && check.is_some() {
            let given = match self.form {
                Form::Stored(given) => given,
                _ => self.range.decode(1 << 8).map(|given| given as u8),
            };
            if given != check {
                return Err(Corrupt);
            }
        }
        Ok(char)
    }

    /// A coded character, or the end of the text.
    fn symbol(&mut self) -> Result<Option<char>, Corrupt> {
        let frequencies = frequencies(self.session);
        let position = self.range.position(frequencies.total).ok_or(Corrupt)?;
        let (symbol, start, frequency) = frequencies.find(usize::MAX, position);
        self.range.narrow(start, frequency);
        feed(self.session, symbol);
        let vocab = self.session.model().vocab();
        if symbol == escape_symbol(vocab) {
            return self.escape.decode(&mut self.range);
        }
        let token = Token(symbol as u16);
        match vocab.char(token) {
            None if vocab.end() != Some(token) => Err(Corrupt),
            char => Ok(char),
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
    /// charlet::model!(NAMES, "../../doc/names-tiny.charlet");
    ///
    /// let mut session = NAMES.session();
    /// let mut message = [0; 16];
    /// let len = session.compress("katharina", &mut message)?;
    /// assert_eq!(len, 4);
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
        self.compress_with(Some(Crc8::new().of(text).finish()), text, message)
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
        let mut decoder = Decoder::new(self, message.iter().copied());
        // As `next_char` does, but without a check, whose code is then left out.
        let next = || decoder.next(None).map_err(|Corrupt| Error::CorruptMessage);
        write_chars(next, text, max_chars)
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
        let mut decoder = Decoder::new(self, message.iter().copied()).with_check();
        write_chars(|| decoder.next_char(), text, max_chars)
    }

    fn compress_with(
        &mut self,
        check: Option<u8>,
        text: &str,
        message: &mut [u8],
    ) -> Result<usize, Error> {
        let shorter = usize::from(check.is_some()) + text.len();
        let mut out = Buffer {
            // As long as the text is, it is better stored.
            room: shorter.min(message.len()),
            message,
            len: 0,
        };
        if Encoder::new(self, |byte| out.push(byte))
            .rest(text, check)
            .is_err()
        {
            out.len = 0;
            out.room = out.message.len();
            out.push(STORED)?;
            if let Some(check) = check {
                out.push(check)?;
            }
            for byte in text.bytes() {
                out.push(byte)?;
            }
        }
        Ok(out.len)
    }
}

/// The first bytes of a buffer.
struct Buffer<'m> {
    message: &'m mut [u8],
    /// Not all may be used.
    room: usize,
    len: usize,
}

impl Buffer<'_> {
    // One for both forms.
    #[inline(never)]
    fn push(&mut self, byte: u8) -> Result<(), Error> {
        match self.message.get_mut(self.len) {
            Some(place) if self.len < self.room => *place = byte,
            _ => return Err(Error::BufferFull),
        }
        self.len += 1;
        Ok(())
    }
}

fn write_chars(
    mut next: impl FnMut() -> Result<Option<char>, Error>,
    text: &mut impl fmt::Write,
    max_chars: usize,
) -> Result<usize, Error> {
    let mut chars = 0;
    while let Some(char) = next()? {
        if chars == max_chars || text.write_char(char).is_err() {
            return Err(Error::BufferFull);
        }
        chars += 1;
    }
    Ok(chars)
}

/// The next character of a stored text, or `None` behind the last.
fn stored_char(bytes: &mut impl Iterator<Item = u8>) -> Result<Option<char>, Corrupt> {
    let Some(first) = bytes.next() else {
        return Ok(None);
    };
    let mut code = [first, 0, 0, 0];
    let len = first.leading_ones().max(1) as usize;
    // What starts no character is refused with it.
    for place in code.iter_mut().take(len).skip(1) {
        *place = bytes.next().ok_or(Corrupt)?;
    }
    Chars(&code).take_char().map(Some).ok_or(Corrupt)
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
    // Counting zeros is a function of the library on small chips.
    let (mut left, mut right) = (0, 0);
    while left < TOTAL_BITS && sum << left < 1 << (TOTAL_BITS - 1) {
        left += 1;
    }
    while sum >> right >= 1 << TOTAL_BITS {
        right += 1;
    }
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
    /// A symbol, or that in whose part a position lies, whichever is first; with where its part starts,
    /// and its frequency.
    #[inline(never)]
    fn find(&self, symbol: usize, position: u32) -> (usize, u32, u32) {
        let mut start = 0;
        let mut at = 0;
        for &frequency in self.of_tokens {
            if at == symbol || position.wrapping_sub(start) < frequency {
                return (at, start, frequency);
            }
            start += frequency;
            at += 1;
        }
        (at, start, 1)
    }
}
