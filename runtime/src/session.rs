//! A text on its way: the model, its memory, and the token that comes next, as one value.

use crate::error::Error;
use crate::format::utf8::Chars;
use crate::logits::Logits;
use crate::model::Model;
#[cfg(feature = "batch")]
use crate::network::Stream;
use crate::sampler::Sampler;
use crate::state::{State, Workspace};
use crate::vocab::Token;

/// A text that a model writes or reads, a character at a time.
///
/// It keeps the model's [`State`], the [`Workspace`] and the next input together, so that a text can
/// be continued, forked (`clone`), saved and restored as one thing. `S` and `W` are where their words
/// lie: arrays on a chip, which [`model!`](crate::model) sizes, or whatever gives slices of `u32`. For
/// a model `NAMES` of [`model!`](crate::model) the type is [`SessionOf<NAMES>`](crate::SessionOf).
///
/// A new session is at the start of a text. When the model ends the text, the session is at the start
/// of the next; [`start_text`](Self::start_text) breaks a text off.
///
/// ```
/// use charlet::{Rng, Sampler};
///
/// charlet::model!(NAMES, "../doc/names-tiny.charlet");
///
/// let sampler = const { Sampler::with_temperature(0.8) }?;
/// let mut rng = Rng::from_seed(1);
/// let mut session = NAMES.session();
/// session.prompt("ma")?;
/// let name: String = session.generate(sampler, || rng.next_u32()).take(20).collect();
/// # assert_eq!(name, "rnita");
/// # Ok::<(), charlet::Error>(())
/// ```
#[must_use = "a session does nothing by itself"]
#[derive(Clone, Debug)]
pub struct Session<'m, S, W> {
    model: &'m Model<'m>,
    state: State<S>,
    workspace: Workspace<W>,
    /// The token that the next step feeds.
    next_input: Token,
}

impl<'m, S, W> Session<'m, S, W> {
    /// What [`model!`](crate::model) makes of a model and memory of its size.
    #[doc(hidden)]
    pub const fn from_parts(
        model: &'m Model<'m>,
        state: State<S>,
        workspace: Workspace<W>,
    ) -> Self {
        Self {
            model,
            state,
            workspace,
            next_input: model.vocab().start(),
        }
    }

    /// The model.
    pub const fn model(&self) -> &'m Model<'m> {
        self.model
    }

    /// h and c, which [`Model::hidden_state`] and [`Model::cell_state`] read.
    pub const fn state(&self) -> &State<S> {
        &self.state
    }

    /// The token that the next step feeds: the last character, which is no part of the state yet, or
    /// the vocabulary's [`start`](crate::Vocab::start).
    pub const fn next_input(&self) -> Token {
        self.next_input
    }
}

impl<'m, S, W> Session<'m, S, W>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
{
    /// A session at the start of a text.
    ///
    /// ```
    /// # use charlet::{Model, Session, State, Workspace};
    /// let model = Model::from_bytes(include_bytes!("../doc/names-tiny.charlet"))?;
    /// let state = State::from_words(vec![0; model.sizes().state]);
    /// let workspace = Workspace::from_words(vec![0; model.sizes().workspace]);
    /// let session = Session::new(&model, state, workspace)?;
    /// # assert_eq!(session.next_input(), model.vocab().start());
    /// # Ok::<(), charlet::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::StateSize`] or [`Error::WorkspaceSize`].
    pub fn new(
        model: &'m Model<'m>,
        state: State<S>,
        workspace: Workspace<W>,
    ) -> Result<Self, Error> {
        model.check_memory(state.as_words(), workspace.as_words())?;
        let mut session = Self::from_parts(model, state, workspace);
        session.start_text();
        Ok(session)
    }

    /// Starts a new text: h and c become zero, and the next input is the vocabulary's
    /// [`start`](crate::Vocab::start).
    pub fn start_text(&mut self) {
        self.state.reset();
        self.next_input = self.model.vocab().start();
    }

    /// Goes on from this state, before which this token comes.
    ///
    /// # Errors
    /// [`Error::StateSize`] or [`Error::UnknownToken`]; the session is then unchanged.
    pub fn resume(&mut self, state: &[u32], next_input: Token) -> Result<(), Error> {
        self.model.check_state(state)?;
        self.model.check_token(next_input)?;
        for (word, saved) in self.state.as_words_mut().iter_mut().zip(state) {
            *word = *saved;
        }
        self.next_input = next_input;
        Ok(())
    }

    /// Feeds a text that the model shall continue. It is not repeated by what is generated then. It is
    /// appended to the text that the session is in: call [`start_text`](Self::start_text) before,
    /// unless that is meant.
    ///
    /// # Errors
    /// [`Error::UnknownChar`] names the first character that the model doesn't know and has no mark for;
    /// nothing was fed then.
    pub fn prompt(&mut self, text: &str) -> Result<(), Error> {
        let vocab = self.model.vocab();
        vocab.check(text)?;
        for char in Chars(text.as_bytes()) {
            let token = vocab.token_or_unknown(char)?;
            self.step();
            self.next_input = token;
        }
        Ok(())
    }

    /// Makes one character, or `None` where the model ends the text: the next call then starts a new
    /// one. The mark for unknown characters is never chosen.
    ///
    /// It is one step of the network, between two of which an asynchronous task can yield. `random`
    /// gives 32 random bits and is called at most once.
    ///
    /// ```
    /// # use charlet::{Rng, Sampler};
    /// # charlet::model!(NAMES, "../doc/names-tiny.charlet");
    /// # let mut session = NAMES.session();
    /// let mut rng = Rng::from_seed(1);
    /// let first = session.next_char(Sampler::argmax(), || rng.next_u32());
    /// # assert_eq!(first, Some('a'));
    /// ```
    pub fn next_char(&mut self, sampler: Sampler, random: impl FnOnce() -> u32) -> Option<char> {
        let unknown = self.model.vocab().unknown();
        self.step_with(|mut logits| {
            // It has no character: what was meant can't be said.
            if let Some(unknown) = unknown {
                logits.exclude(unknown);
            }
            sampler.sample(logits, random)
        })
    }

    /// Makes one character as [`next_char`](Self::next_char) does, where `choose` picks the token: for
    /// a way of sampling that [`Sampler`] doesn't have. A token that the vocabulary lacks ends the text.
    pub fn step_with(&mut self, choose: impl FnOnce(Logits<'_>) -> Token) -> Option<char> {
        let token = choose(self.step());
        let char = self.model.vocab().char(token);
        match char {
            Some(_) => self.next_input = token,
            // A mark has no character and ends the text.
            None => self.start_text(),
        }
        char
    }

    /// Feeds the next input, and predicts what follows.
    pub(crate) fn step(&mut self) -> Logits<'_> {
        self.model.step_unchecked(
            self.next_input,
            self.state.as_words_mut(),
            self.workspace.as_words_mut(),
        )
    }

    /// What a step takes that others take with it.
    #[cfg(feature = "batch")]
    #[inline(always)]
    pub(crate) fn stream(&mut self) -> Stream<'_> {
        Stream {
            token: self.next_input,
            state: self.state.as_words_mut(),
            workspace: self.model.needed(self.workspace.as_words_mut()),
        }
    }

    /// What the last step predicts.
    #[cfg(feature = "batch")]
    pub(crate) fn logits(&mut self) -> Logits<'_> {
        let model = self.model;
        model.logits(model.needed(self.workspace.as_words_mut()))
    }

    /// Feeds this token in the place of the next input, and predicts what follows: the network's turn for
    /// whoever chooses tokens himself.
    ///
    /// It stays the next input. Feed the one that follows too, or name it with
    /// [`set_next`](Self::set_next) before characters are made.
    ///
    /// ```
    /// # charlet::model!(NAMES, "../doc/names-tiny.charlet");
    /// let mut session = NAMES.session();
    /// let first = session.feed(NAMES.model().vocab().start())?.argmax();
    /// session.set_next(first)?;
    /// assert_eq!(session.next_input(), first);
    /// # Ok::<(), charlet::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownToken`]; the session is then unchanged.
    pub fn feed(&mut self, token: Token) -> Result<Logits<'_>, Error> {
        self.set_next(token)?;
        Ok(self.step())
    }

    /// Names the token that the next step feeds.
    ///
    /// ```
    /// # use charlet::{Error, Token};
    /// # charlet::model!(NAMES, "../doc/names-tiny.charlet");
    /// let mut session = NAMES.session();
    /// session.set_next(Token(3))?;
    /// assert_eq!(session.set_next(Token(27)), Err(Error::UnknownToken(27)));
    /// assert_eq!(session.next_input(), Token(3));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownToken`]; the session is then unchanged.
    pub fn set_next(&mut self, token: Token) -> Result<(), Error> {
        self.model.check_token(token)?;
        self.next_input = token;
        Ok(())
    }

    /// Replaces h and c of a layer, as [`Model::set_layer`] does.
    ///
    /// ```
    /// # charlet::model!(NAMES, "../doc/names-tiny.charlet");
    /// let mut session = NAMES.session();
    /// session.set_layer(0, &[0.5; 48], &[2.0; 48])?;
    /// assert_eq!(NAMES.model().cell_state(session.state(), 0)?.next(), Some(2.0));
    /// assert_eq!(NAMES.model().hidden_state(session.state(), 0)?.last(), Some(0.5));
    /// # Ok::<(), charlet::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownLayer`] or [`Error::BufferLength`]; the session is then unchanged.
    pub fn set_layer(&mut self, layer: usize, h: &[f32], c: &[f32]) -> Result<(), Error> {
        self.model.set_layer(&mut self.state, layer, h, c)
    }

    /// Sets what the next step feeds: a token of the vocabulary.
    pub(crate) fn set_next_input(&mut self, token: Token) {
        self.next_input = token;
    }

    /// Bytes that [`save`](Self::save) writes: 8 and those of the state.
    pub fn saved_len(&self) -> usize {
        size_of_val(self.state.as_words()) + SAVED_FIELDS
    }

    /// Writes the text's position into `saved`: the model's checksum, the next input, h and c.
    ///
    /// ```
    /// # charlet::model!(NAMES, "../doc/names-tiny.charlet");
    /// let mut session = NAMES.session();
    /// session.prompt("mar")?;
    /// let mut saved = [0; 8 + 4 * NAMES.sizes().state];
    /// session.save(&mut saved)?;
    /// let mut restored = NAMES.session();
    /// restored.restore(&saved)?;
    /// assert_eq!(restored.next_input(), session.next_input());
    /// assert_eq!(restored.state(), session.state());
    /// # Ok::<(), charlet::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BufferLength`] unless `saved` has [`saved_len`](Self::saved_len) bytes.
    pub fn save(&self, saved: &mut [u8]) -> Result<(), Error> {
        self.check_saved(saved)?;
        let fields = [self.model.checksum(), self.next_input.0.into()];
        let words = fields.iter().chain(self.state.as_words());
        for (bytes, word) in saved.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
        Ok(())
    }

    /// Goes on from a position that [`save`](Self::save) wrote, also on another chip.
    ///
    /// h and c are not checked: any values are safe, but damaged ones give another text. Add a checksum
    /// where the storage may fail.
    ///
    /// # Errors
    /// [`Error::OtherModel`] if it was saved with another model, [`Error::BufferLength`], or
    /// [`Error::UnknownToken`]; the session is then unchanged.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), Error> {
        let expected = self.model.checksum();
        if let Some(found) = saved.first_chunk() {
            let found = u32::from_le_bytes(*found);
            if found != expected {
                return Err(Error::OtherModel { expected, found });
            }
        }
        self.check_saved(saved)?;
        let [_, next_input, state @ ..] = saved.as_chunks().0 else {
            return Ok(());
        };
        let next_input = u32::from_le_bytes(*next_input);
        // What has no 16 bits is no token of any model.
        let next_input = Token(u16::try_from(next_input).unwrap_or(u16::MAX));
        self.model.check_token(next_input)?;
        for (word, bytes) in self.state.as_words_mut().iter_mut().zip(state) {
            *word = u32::from_le_bytes(*bytes);
        }
        self.next_input = next_input;
        Ok(())
    }

    fn check_saved(&self, saved: &[u8]) -> Result<(), Error> {
        let (expected, actual) = (self.saved_len(), saved.len());
        if actual == expected {
            Ok(())
        } else {
            Err(Error::BufferLength { expected, actual })
        }
    }
}

/// Bytes of a saved session before its state.
const SAVED_FIELDS: usize = 8;

/// A session whose memory is allocated.
#[cfg(feature = "alloc")]
pub type BoxedSession<'m> = Session<'m, alloc::boxed::Box<[u32]>, alloc::boxed::Box<[u32]>>;

#[cfg(feature = "alloc")]
impl<'m> BoxedSession<'m> {
    /// A session at the start of a text, in memory of the model's size.
    ///
    /// ```
    /// # use charlet::{Model, Session};
    /// let model = Model::from_bytes(include_bytes!("../doc/names-tiny.charlet"))?;
    /// let session = Session::boxed(&model);
    /// # assert_eq!(session.saved_len(), 8 + 4 * model.sizes().state);
    /// # Ok::<(), charlet::Error>(())
    /// ```
    pub fn boxed(model: &'m Model<'m>) -> Self {
        let zeros = |words| alloc::vec![0; words].into_boxed_slice();
        let sizes = model.sizes();
        Self::from_parts(
            model,
            State::from_words(zeros(sizes.state)),
            Workspace::from_words(zeros(sizes.workspace)),
        )
    }
}
