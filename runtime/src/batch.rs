//! Sessions that take their steps together.

use core::marker::PhantomData;

use crate::error::Error;
use crate::logits::Logits;
use crate::model::Model;
use crate::network::{Stream, Streams};
use crate::sampler::Sampler;
use crate::session::Session;
use crate::vocab::Token;

/// Sessions of one model that take their steps together, for which its weights are read once.
///
/// Each session gets what it would get alone, to the bit. It gains where there are caches and wide
/// registers: weights that are at hand serve all sessions. 16 to 32 of them are enough.
///
/// A batch borrows a slice of sessions, or of mutable references to some. Each may be anywhere in its
/// text. One whose text ends starts the next one, or is replaced by another; one that shall miss a step is
/// left out of the slice. A batch costs nothing to make: make one for each step if others take part.
///
/// ```
/// use charlet::{Batch, Rng, Sampler};
///
/// charlet::model!(NAMES, "../doc/names-tiny.charlet");
///
/// let sampler = const { Sampler::with_temperature(0.8) }?;
/// let mut rngs = [1, 2, 3].map(Rng::from_seed);
/// let mut names = [const { String::new() }; 3];
/// let mut sessions = [const { NAMES.session() }; 3];
/// let mut batch = Batch::new(&mut sessions)?;
/// for _ in 0..4 {
///     batch.next_chars(sampler, |at| rngs[at].next_u32(), |at, char| names[at].extend(char));
/// }
/// assert_eq!(names, ["lisi", "fale", "zaia"]);
/// # Ok::<(), charlet::Error>(())
/// ```
///
/// # Memory
/// None but that of the sessions: `state + workspace` words of [`Sizes`](crate::Sizes) each. Inputs and
/// logits of each lie in its own workspace.
#[must_use = "a batch does nothing by itself"]
#[derive(Debug)]
pub struct Batch<'b, 'm, T> {
    /// The model of all; none if there is no session.
    model: Option<&'m Model<'m>>,
    sessions: &'b mut [T],
}

impl<'b, 'm, T: InBatch<'m>> Batch<'b, 'm, T> {
    /// Takes sessions of the same model.
    ///
    /// # Errors
    /// [`Error::OtherModel`] if one has another model than the first.
    pub fn new(sessions: &'b mut [T]) -> Result<Self, Error> {
        let model = sessions.first().map(|first| first.model());
        let expected = model.map_or(0, Model::checksum);
        for session in &*sessions {
            let found = session.model().checksum();
            if found != expected {
                return Err(Error::OtherModel { expected, found });
            }
        }
        Ok(Self { model, sessions })
    }

    /// Feeds the next input of every session. `choose` gets the place of each in turn and what follows,
    /// and picks the token that its next step feeds. `None`, or a token that the vocabulary lacks, ends the
    /// text: the session is then at the start of the next.
    ///
    /// ```
    /// use charlet::{Batch, Token};
    ///
    /// charlet::model!(NAMES, "../doc/names-tiny.charlet");
    ///
    /// // How probable is it that a name starts with these letters?
    /// let letters = ['k', 'q'].map(|char| NAMES.model().vocab().token(char));
    /// let mut log_probs = [f32::NEG_INFINITY; 2];
    /// let mut sessions = [const { NAMES.session() }; 2];
    /// Batch::new(&mut sessions)?.step(|at, logits| {
    ///     log_probs[at] = logits.log_prob(letters[at]?)?;
    ///     letters[at]
    /// });
    /// assert!(log_probs[0] > log_probs[1]);
    /// # Ok::<(), charlet::Error>(())
    /// ```
    pub fn step(&mut self, mut choose: impl FnMut(usize, Logits<'_>) -> Option<Token>) {
        let Some(model) = self.model else {
            return;
        };
        model.step_together(&mut Lanes(self.sessions, PhantomData));
        for (at, session) in self.sessions.iter_mut().enumerate() {
            let next = choose(at, session.logits());
            session.go_on(next);
        }
    }

    /// Makes one character of each text, as [`Session::next_char`] does: `take` gets the place of each
    /// session in turn and its character, or `None` where the text ends. The mark for unknown characters is
    /// never chosen. `random` gives 32 random bits for the session at a place, and is called at most once for
    /// each.
    pub fn next_chars(
        &mut self,
        sampler: Sampler,
        mut random: impl FnMut(usize) -> u32,
        mut take: impl FnMut(usize, Option<char>),
    ) {
        let Some(vocab) = self.model.map(Model::vocab) else {
            return;
        };
        self.step(|at, mut logits| {
            if let Some(unknown) = vocab.unknown() {
                logits.exclude(unknown);
            }
            let token = sampler.sample(logits, || random(at));
            let char = vocab.char(token);
            take(at, char);
            char.map(|_| token)
        });
    }
}

/// What a [`Batch`] takes: a [`Session`], or a mutable reference to one.
pub trait InBatch<'m>: sealed::InBatch<'m> {}

impl<'m, T: sealed::InBatch<'m>> InBatch<'m> for T {}

mod sealed {
    use super::{Logits, Model, Stream, Token};

    /// What a batch does with a session.
    pub trait InBatch<'m> {
        fn model(&self) -> &'m Model<'m>;
        fn stream(&mut self) -> Stream<'_>;
        fn logits(&mut self) -> Logits<'_>;
        fn go_on(&mut self, next: Option<Token>);
    }
}

impl<'m, S, W> sealed::InBatch<'m> for Session<'m, S, W>
where
    S: AsRef<[u32]> + AsMut<[u32]>,
    W: AsRef<[u32]> + AsMut<[u32]>,
{
    fn model(&self) -> &'m Model<'m> {
        Session::model(self)
    }

    #[inline(always)]
    fn stream(&mut self) -> Stream<'_> {
        Session::stream(self)
    }

    fn logits(&mut self) -> Logits<'_> {
        Session::logits(self)
    }

    fn go_on(&mut self, next: Option<Token>) {
        match next {
            Some(token) if self.set_next(token).is_ok() => {}
            _ => self.start_text(),
        }
    }
}

impl<'m, T: sealed::InBatch<'m>> sealed::InBatch<'m> for &mut T {
    fn model(&self) -> &'m Model<'m> {
        T::model(self)
    }

    #[inline(always)]
    fn stream(&mut self) -> Stream<'_> {
        T::stream(self)
    }

    fn logits(&mut self) -> Logits<'_> {
        T::logits(self)
    }

    fn go_on(&mut self, next: Option<Token>) {
        T::go_on(self, next);
    }
}

/// The sessions as the network sees them.
struct Lanes<'b, 'm, T>(&'b mut [T], PhantomData<&'m ()>);

impl<'m, T: sealed::InBatch<'m>> Streams for Lanes<'_, 'm, T> {
    #[inline(always)]
    fn count(&self) -> usize {
        self.0.len()
    }

    #[inline(always)]
    fn get(&mut self, at: usize) -> Option<Stream<'_>> {
        self.0.get_mut(at).map(sealed::InBatch::stream)
    }
}
