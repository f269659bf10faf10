//! Text from a model: an iterator of characters.

use rand_core::Rng;

use crate::model::Run;
use crate::utf8::Chars;
use crate::{Error, Model, Sampler, State, Token, Workspace};

/// Makes text, a character at a time, until the model ends it.
///
/// The state is the caller's: it starts where it was left and is nowhere reset. A model of running
/// text never ends: limit it with [`Iterator::take`].
///
/// ```
/// use charlet::{Generator, Model, Sampler, State, Workspace};
/// use rand_core::SeedableRng;
/// use rand_xoshiro::Xoshiro128PlusPlus;
/// # macro_rules! include_bytes { ($p:literal) => { core::include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/", $p)) } }
///
/// let model = Model::from_bytes(include_bytes!("names-tiny.charlet"))?;
/// // On a chip: arrays, whose sizes come from `sizes_of!`.
/// let mut state = State::from_words(vec![0; model.sizes().state]);
/// let mut workspace = Workspace::from_words(vec![0; model.sizes().workspace]);
/// let rng = Xoshiro128PlusPlus::seed_from_u64(1);
/// let sampler = Sampler::with_temperature(0.8)?;
/// let mut generator = Generator::new(&model, &mut state, &mut workspace, sampler, rng)?;
/// generator.prime("ma")?;
/// let name: String = "ma".chars().chain(generator.take(20)).collect();
/// # assert!(name.len() > 2);
/// # Ok::<(), charlet::Error>(())
/// ```
#[derive(Debug)]
pub struct Generator<'r, R> {
    run: Run<'r>,
    sampler: Sampler,
    rng: R,
    /// The token to feed next; `None` when the text has ended.
    pending: Option<Token>,
}

impl<'r, R: Rng> Generator<'r, R> {
    /// Starts a text: the first token fed is the vocabulary's [`start`](crate::Vocab::start).
    ///
    /// # Errors
    /// [`Error::StateSize`], [`Error::WorkspaceSize`], or [`Error::TopK`] if the sampler's exceeds
    /// the vocabulary.
    pub fn new<S, W>(
        model: &'r Model<'_>,
        state: &'r mut State<S>,
        workspace: &'r mut Workspace<W>,
        sampler: Sampler,
        rng: R,
    ) -> Result<Self, Error>
    where
        S: AsRef<[u32]> + AsMut<[u32]>,
        W: AsRef<[u32]> + AsMut<[u32]>,
    {
        let run = Run::new(model, state, workspace)?;
        sampler.check(model.vocab().size())?;
        Ok(Self {
            run,
            sampler,
            rng,
            pending: Some(model.vocab().start()),
        })
    }

    /// Goes on after this token instead, as with a state that was saved together with
    /// [`pending`](Self::pending).
    ///
    /// # Errors
    /// [`Error::UnknownToken`].
    pub fn start_from(mut self, token: Token) -> Result<Self, Error> {
        if !self.run.vocab().contains(token) {
            return Err(Error::UnknownToken(token.0));
        }
        self.pending = Some(token);
        Ok(self)
    }

    /// Feeds a text that the model shall continue. It is not repeated by the iterator.
    ///
    /// # Errors
    /// [`Error::UnknownChar`] names the first character that the model doesn't know; nothing was fed
    /// then.
    pub fn prime(&mut self, text: &str) -> Result<(), Error> {
        let vocab = self.run.vocab();
        let chars = || Chars(text.as_bytes());
        if let Some(unknown) = chars().find(|&char| vocab.token(char).is_none()) {
            return Err(Error::UnknownChar(unknown));
        }
        for token in chars().filter_map(|char| vocab.token(char)) {
            if let Some(pending) = self.pending.replace(token) {
                self.run.step(pending);
            }
        }
        Ok(())
    }

    /// The token that the next step feeds: the last character made, not part of the state yet.
    /// `None` when the text has ended.
    pub fn pending(&self) -> Option<Token> {
        self.pending
    }
}

impl<R: Rng> Iterator for Generator<'_, R> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let logits = self.run.step(self.pending?);
        let token = self.sampler.sample(logits, &mut self.rng);
        let char = self.run.vocab().char(token);
        // A mark has no character and ends the text.
        self.pending = char.map(|_| token);
        char
    }
}

impl<R: Rng> core::iter::FusedIterator for Generator<'_, R> {}
