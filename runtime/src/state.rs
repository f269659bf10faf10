//! h and c of all layers, and the scratch memory of a step, as plain words owned by the caller.

/// The recurrent state of one text: h and c of every layer.
///
/// It is plain data: clone it to fork a text, keep its words to save it, and make one from words to
/// restore it. Nothing resets it but [`reset`](Self::reset). Many states can share one model.
/// [`Session`](crate::Session) keeps one together with what else belongs to a text.
///
/// The words' meaning belongs to the model that wrote them; [`Model::hidden_state`](crate::Model::hidden_state)
/// and [`Model::cell_state`](crate::Model::cell_state) read them. On a chip `B` is an array whose size is known when the
/// firmware is built ([`Sizes`](crate::Sizes)), elsewhere it may be a vector.
///
/// ```
/// # use charlet::State;
/// let mut state = State::<[u32; 256]>::zero();
/// let fork = state.clone();
/// state.reset();
/// assert_eq!(state, fork);
/// let saved: [u32; 256] = state.into_words();
/// let restored = State::from_words(saved);
/// assert_eq!(restored, fork);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct State<B> {
    words: B,
}

impl<const N: usize> State<[u32; N]> {
    /// The state before a text's first character: all zero.
    pub const fn zero() -> Self {
        Self { words: [0; N] }
    }
}

impl<B: AsRef<[u32]> + AsMut<[u32]>> State<B> {
    /// Takes saved words, or zeroed memory for a new state.
    pub const fn from_words(words: B) -> Self {
        Self { words }
    }

    /// Gives the words back, to save them.
    pub fn into_words(self) -> B {
        self.words
    }

    /// The state's words.
    pub fn as_words(&self) -> &[u32] {
        self.words.as_ref()
    }

    /// The state's words, to change them; any value is safe.
    pub fn as_words_mut(&mut self) -> &mut [u32] {
        self.words.as_mut()
    }

    /// Forgets the text: all zero again.
    pub fn reset(&mut self) {
        self.words.as_mut().fill(0);
    }
}

/// What a step needs beside the state: the next h of one layer, and the logits.
///
/// It carries nothing from one step to the next, so all states of a thread can share one.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Workspace<B> {
    words: B,
}

impl<const N: usize> Workspace<[u32; N]> {
    /// Memory for a step.
    pub const fn new() -> Self {
        Self { words: [0; N] }
    }
}

impl<const N: usize> Default for Workspace<[u32; N]> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: AsRef<[u32]> + AsMut<[u32]>> Workspace<B> {
    /// Takes memory for a step; what it holds doesn't matter.
    pub const fn from_words(words: B) -> Self {
        Self { words }
    }

    pub(crate) fn as_words(&self) -> &[u32] {
        self.words.as_ref()
    }

    pub(crate) fn as_words_mut(&mut self) -> &mut [u32] {
        self.words.as_mut()
    }
}
