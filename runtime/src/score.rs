//! How probable a model finds a text.

use crate::model::Run;
use crate::{Error, Model, State, Token, Workspace};

/// Reads a text and tells, for each character, how probable it was.
///
/// The state is the caller's and is nowhere reset, so that a long text can be scored in pieces: keep
/// [`pending`](Self::pending) beside it, and [`start_from`](Self::start_from) goes on there.
///
/// ```
/// # use charlet::{Model, Scorer, State, Workspace};
/// # macro_rules! include_bytes { ($p:literal) => { core::include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/", $p)) } }
/// let model = Model::from_bytes(include_bytes!("names-tiny.charlet"))?;
/// let mut state = State::from_words(vec![0; model.sizes().state]);
/// let mut workspace = Workspace::from_words(vec![0; model.sizes().workspace]);
/// let mut score = |text| {
///     state.reset();
///     Scorer::new(&model, &mut state, &mut workspace)?.text(text)
/// };
/// assert!(score("maria")? > score("mrqxz")?);
/// # Ok::<(), charlet::Error>(())
/// ```
#[derive(Debug)]
pub struct Scorer<'r> {
    run: Run<'r>,
    pending: Token,
}

impl<'r> Scorer<'r> {
    /// Starts a text: the first character is predicted from the vocabulary's start token.
    ///
    /// # Errors
    /// [`Error::StateSize`] or [`Error::WorkspaceSize`].
    pub fn new<S, W>(
        model: &'r Model<'_>,
        state: &'r mut State<S>,
        workspace: &'r mut Workspace<W>,
    ) -> Result<Self, Error>
    where
        S: AsRef<[u32]> + AsMut<[u32]>,
        W: AsRef<[u32]> + AsMut<[u32]>,
    {
        let run = Run::new(model, state, workspace)?;
        Ok(Self {
            run,
            pending: model.vocab().start(),
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
        self.pending = token;
        Ok(self)
    }

    /// The last character scored, which the next step feeds: it is not part of the state yet.
    pub fn pending(&self) -> Token {
        self.pending
    }

    /// The log-probability of the next character, in nats.
    ///
    /// # Errors
    /// [`Error::UnknownChar`]; the state is then unchanged.
    pub fn char(&mut self, char: char) -> Result<f32, Error> {
        let token = self
            .run
            .vocab()
            .token(char)
            .ok_or(Error::UnknownChar(char))?;
        Ok(self.token(token))
    }

    /// The log-probability that the text ends here, in nats; `None` for models of running text.
    pub fn end(mut self) -> Option<f32> {
        let end = self.run.vocab().end()?;
        Some(self.token(end))
    }

    /// The log-probability of a whole text in nats: of its characters, and of its end if the model
    /// marks it. The sum is taken in the text's order.
    ///
    /// # Errors
    /// [`Error::UnknownChar`] names the first character that the model doesn't know.
    pub fn text(mut self, text: &str) -> Result<f32, Error> {
        let mut sum = 0.0;
        for char in text.chars() {
            sum += self.char(char)?;
        }
        Ok(sum + self.end().unwrap_or(0.0))
    }

    fn token(&mut self, token: Token) -> f32 {
        let logits = self.run.step(self.pending);
        self.pending = token;
        // Tokens come from the vocabulary, which is as large as the logits.
        logits.log_prob(token).unwrap_or(f32::NEG_INFINITY)
    }
}
