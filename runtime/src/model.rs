//! A checked model: after `from_bytes` nothing about the file can go wrong.

use crate::format::{self, Header};
use crate::network::Network;
use crate::{Error, Logits, Sizes, State, Token, Vocab, Workspace};

/// A model that reads its weights in place from the bytes of its file, wherever they lie.
///
/// It is small (some slices), copied freely, and never changes: what changes is the caller's
/// [`State`] and [`Workspace`].
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// Without the characters, which the vocabulary has.
    header: Header<'a>,
    sizes: Sizes,
    vocab: Vocab<'a>,
    network: Network<'a>,
}

impl<'a> Model<'a> {
    /// Checks a model file and borrows it. Bytes at any alignment will do; a Cortex-M4 is several times
    /// as fast with ones that start at a multiple of four, as [`include_model!`](crate::include_model)
    /// gives them.
    ///
    /// # Errors
    /// The bytes are no model, are truncated, damaged or followed by others, have another version, a
    /// precision that this runtime was built without, or hold an invalid header, alphabet, size,
    /// weight or scale: each has an [`Error`] of its own.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        let parts = format::read(bytes)?;
        let header = parts.header;
        let end = header.end.map(Token);
        let vocab = Vocab::read(parts.chars, header.vocab_size, Token(header.start), end)?;
        if header.hidden_size == 0 || header.num_layers == 0 || header.embedding_size == 0 {
            return Err(Error::Sizes);
        }
        if Sizes::of(&header) != Some(parts.sizes) {
            return Err(Error::Sizes);
        }
        let network = Network::new(&header, parts.weights)?;
        Ok(Self {
            header,
            sizes: parts.sizes,
            vocab,
            network,
        })
    }

    /// What the file says of itself.
    pub const fn header(&self) -> Header<'a> {
        Header {
            chars: self.vocab.chars(),
            ..self.header
        }
    }

    /// The words of memory that the model's state and workspace have.
    pub const fn sizes(&self) -> Sizes {
        self.sizes
    }

    /// The model's alphabet.
    pub const fn vocab(&self) -> &Vocab<'a> {
        &self.vocab
    }

    /// Feeds one token and predicts the next: the state moves on, the logits are returned.
    ///
    /// # Errors
    /// [`Error::StateSize`], [`Error::WorkspaceSize`] or [`Error::UnknownToken`]; the state is then
    /// unchanged.
    pub fn step<'w, S, W>(
        &self,
        token: Token,
        state: &mut State<S>,
        workspace: &'w mut Workspace<W>,
    ) -> Result<Logits<'w>, Error>
    where
        S: AsRef<[u32]> + AsMut<[u32]>,
        W: AsRef<[u32]> + AsMut<[u32]>,
    {
        if !self.vocab.contains(token) {
            return Err(Error::UnknownToken(token.0));
        }
        Run::new(self, state, workspace)?.step(token);
        Ok(logits(self, workspace.as_words_mut()))
    }

    /// The hidden state h of a layer, unit by unit.
    ///
    /// # Errors
    /// [`Error::StateSize`] or [`Error::UnknownLayer`].
    pub fn h<S>(
        &self,
        state: &State<S>,
        layer: usize,
    ) -> Result<impl ExactSizeIterator<Item = f32>, Error>
    where
        S: AsRef<[u32]> + AsMut<[u32]>,
    {
        self.layer(state, layer, Network::h)
    }

    /// The cell state c of a layer, unit by unit.
    ///
    /// # Errors
    /// [`Error::StateSize`] or [`Error::UnknownLayer`].
    pub fn c<S>(
        &self,
        state: &State<S>,
        layer: usize,
    ) -> Result<impl ExactSizeIterator<Item = f32>, Error>
    where
        S: AsRef<[u32]> + AsMut<[u32]>,
    {
        self.layer(state, layer, Network::c)
    }

    /// A value of each unit of a layer.
    fn layer<S>(
        &self,
        state: &State<S>,
        layer: usize,
        value: fn(&Network<'a>, &[u32], usize, usize) -> f32,
    ) -> Result<impl ExactSizeIterator<Item = f32>, Error>
    where
        S: AsRef<[u32]> + AsMut<[u32]>,
    {
        let words = state.as_words();
        self.check_layer(words, layer)?;
        let units = 0..usize::from(self.header.hidden_size);
        Ok(units.map(move |unit| value(&self.network, words, layer, unit)))
    }

    /// Replaces h and c of a layer; each has one value per hidden unit. Integer models round them
    /// and limit h to 1.
    ///
    /// # Errors
    /// [`Error::StateSize`], also if `h` or `c` has another length, or [`Error::UnknownLayer`].
    pub fn set_layer<S>(
        &self,
        state: &mut State<S>,
        layer: usize,
        h: &[f32],
        c: &[f32],
    ) -> Result<(), Error>
    where
        S: AsRef<[u32]> + AsMut<[u32]>,
    {
        self.check_layer(state.as_words(), layer)?;
        let expected = usize::from(self.header.hidden_size);
        for actual in [h.len(), c.len()] {
            if actual != expected {
                return Err(Error::StateSize { expected, actual });
            }
        }
        for (unit, (&h, &c)) in h.iter().zip(c).enumerate() {
            self.network.set(state.as_words_mut(), layer, unit, h, c);
        }
        Ok(())
    }

    fn check_layer(&self, state: &[u32], layer: usize) -> Result<(), Error> {
        self.check_state(state)?;
        if layer >= usize::from(self.header.num_layers) {
            return Err(Error::UnknownLayer(layer));
        }
        Ok(())
    }

    fn check_state(&self, state: &[u32]) -> Result<(), Error> {
        let (expected, actual) = (self.sizes.state, state.len());
        if actual == expected {
            Ok(())
        } else {
            Err(Error::StateSize { expected, actual })
        }
    }
}

/// A model with a state and a workspace that were checked to fit it, so that steps can't fail.
#[derive(Debug)]
pub(crate) struct Run<'r> {
    model: &'r Model<'r>,
    state: &'r mut [u32],
    workspace: &'r mut [u32],
}

impl<'r> Run<'r> {
    pub(crate) fn new<'s: 'r, 'w: 'r, S, W>(
        model: &'r Model<'_>,
        state: &'s mut State<S>,
        workspace: &'w mut Workspace<W>,
    ) -> Result<Self, Error>
    where
        S: AsRef<[u32]> + AsMut<[u32]>,
        W: AsRef<[u32]> + AsMut<[u32]>,
    {
        let state = state.as_words_mut();
        model.check_state(state)?;
        let (expected, workspace) = (model.sizes.workspace, workspace.as_words_mut());
        let actual = workspace.len();
        let workspace = workspace
            .get_mut(..expected)
            .ok_or(Error::WorkspaceSize { expected, actual })?;
        Ok(Self {
            model,
            state,
            workspace,
        })
    }

    pub(crate) fn vocab(&self) -> &'r Vocab<'r> {
        self.model.vocab()
    }

    /// Feeds a token of the model's vocabulary.
    pub(crate) fn step(&mut self, token: Token) -> Logits<'_> {
        self.model.network.step(token, self.state, self.workspace);
        logits(self.model, self.workspace)
    }
}

/// The logits that a step left at the end of the workspace.
fn logits<'w>(model: &Model<'_>, workspace: &'w mut [u32]) -> Logits<'w> {
    let end = model.sizes.workspace;
    let from = end.saturating_sub(model.vocab.size());
    Logits::new(
        model.header.precision,
        workspace.get_mut(from..end).unwrap_or_default(),
    )
}
