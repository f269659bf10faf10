//! How probable a model finds a text.

use crate::error::Error;
use crate::session::Session;
use crate::vocab::Token;

/// Log-probabilities, in nats: at most 0. A long text can be scored in pieces, character by character.
impl<S, W> Session<'_, S, W>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
{
    /// The log-probability of the next character, which becomes the next input. A character that the
    /// model doesn't know has that of the mark for all such, if the model has one.
    ///
    /// # Errors
    /// [`Error::UnknownChar`] if there is no such mark; the session is then unchanged.
    pub fn score_char(&mut self, char: char) -> Result<f32, Error> {
        let token = self.model().vocab().token_or_unknown(char)?;
        let log_prob = self.score_token(token);
        self.set_next_input(token);
        Ok(log_prob)
    }

    /// The log-probability that the text ends here, after which a new one starts. Models of running
    /// text know no end: then it is `None`, and nothing happens.
    pub fn score_end(&mut self) -> Option<f32> {
        let end = self.model().vocab().end()?;
        let log_prob = self.score_token(end);
        self.start_text();
        Some(log_prob)
    }

    /// The log-probability of a whole text, from its start: of its characters, and of its end if the
    /// model marks it. The sum is taken in the text's order. The session's own text is given up.
    /// Afterwards a model that marks ends is at a new text, a model of running text after this one.
    ///
    /// ```
    /// # charlet::model!(NAMES, "../doc/names-tiny.charlet");
    /// let mut session = NAMES.session();
    /// assert!(session.score_text("maria")? > session.score_text("mrqxz")?);
    /// # Ok::<(), charlet::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::UnknownChar`] names the first character that the model doesn't know and has no mark for;
    /// the session is then unchanged.
    pub fn score_text(&mut self, text: &str) -> Result<f32, Error> {
        self.model().vocab().check(text)?;
        self.start_text();
        let mut sum = 0.0;
        for char in text.chars() {
            sum += self.score_char(char)?;
        }
        Ok(sum + self.score_end().unwrap_or(0.0))
    }

    fn score_token(&mut self, token: Token) -> f32 {
        // Tokens come from the vocabulary, which is as large as the logits.
        self.step().log_prob(token).unwrap_or(f32::NEG_INFINITY)
    }
}
