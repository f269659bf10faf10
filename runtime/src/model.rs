//! A checked model: after `from_bytes` nothing about the file can go wrong.

use core::fmt;

use crate::error::Error;
use crate::format::layout::IntegerSections;
use crate::format::{Crc, Header, PRELUDE_LEN, Prelude, Sizes, padding, read_header};
use crate::logits::Logits;
#[cfg(feature = "batch")]
use crate::network::Streams;
use crate::network::{Checked, Network};
use crate::state::{State, Workspace};
use crate::vocab::{Token, Vocab};

/// A model that reads its weights in place from the bytes of its file, wherever they lie.
///
/// It is small (some slices), copied freely, and never changes: what changes is the caller's
/// [`State`] and [`Workspace`].
#[derive(Clone, Copy)]
pub struct Model<'a> {
    /// Without the characters, which the vocabulary has.
    header: Header<'a>,
    sizes: Sizes,
    vocab: Vocab<'a>,
    network: Network<'a>,
    checksum: u32,
}

/// Not its weights, which would fill pages.
impl fmt::Debug for Model<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Model")
            .field("header", &self.header())
            .field("sizes", &self.sizes)
            .field("checksum", &self.checksum)
            .finish_non_exhaustive()
    }
}

impl<'a> Model<'a> {
    /// Checks a model file and borrows it. Bytes at any alignment will do; a Cortex-M4 is several times
    /// as fast with ones that start at a multiple of four, as [`include_model!`](crate::include_model)
    /// gives them.
    ///
    /// It takes 10 instructions a byte on a Cortex-M4 and 20 on a Cortex-M0. With
    /// [`model!`](crate::model) it is done while compiling, and takes none; [`Loader`] does it piece by
    /// piece.
    ///
    /// # Errors
    /// The bytes are no model, are truncated, damaged or followed by others, have another version, a
    /// precision that this runtime was built without, or hold an invalid header, alphabet, size,
    /// weight or scale: each has an [`Error`] of its own.
    pub const fn from_bytes(bytes: &'a [u8]) -> Result<Self, Error> {
        let file = match File::open(bytes) {
            Ok(file) => file,
            Err(error) => return Err(error),
        };
        let model = match file.read(Crc::new().update(file.start).update(file.body)) {
            Ok(model) => model,
            Err(error) => return Err(error),
        };
        // A copy: a model that something points to is put together in memory, with 250 bytes more of a
        // firmware.
        let network = model.network;
        let mut checked = Checked::NOTHING;
        match network.check(&mut checked, usize::MAX) {
            Ok(_) => Ok(model),
            Err(error) => Err(error),
        }
    }

    /// The checksum that the file has: two models with the same are the same model.
    ///
    /// ```
    /// # use charlet::Model;
    /// # let bytes = include_bytes!("../doc/names-tiny.charlet");
    /// let model = Model::from_bytes(bytes)?;
    /// assert_eq!(model.checksum().to_le_bytes(), bytes[28..32]);
    /// # Ok::<(), charlet::Error>(())
    /// ```
    pub const fn checksum(&self) -> u32 {
        self.checksum
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
    /// It is what a [`Session`](crate::Session) does for each character, with memory of the caller.
    ///
    /// ```
    /// use charlet::{Model, Sizes, State, Workspace, include_model, sizes_of};
    ///
    /// static NAMES: &[u8] = include_model!("../doc/names-tiny.charlet");
    /// const SIZES: Sizes = sizes_of!(NAMES);
    ///
    /// let model = Model::from_bytes(NAMES)?;
    /// let mut state = State::<[u32; SIZES.state]>::zero();
    /// let mut workspace = Workspace::<[u32; SIZES.workspace]>::new();
    /// // A name starts; what is its first letter most likely?
    /// let logits = model.step(model.vocab().start(), &mut state, &mut workspace)?;
    /// let first = model.vocab().char(logits.argmax());
    /// assert_eq!(first, Some('a'));
    /// // h of layer 0 has a value for each hidden unit.
    /// assert_eq!(model.hidden_state(&state, 0)?.len(), 48);
    /// # Ok::<(), charlet::Error>(())
    /// ```
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
        self.check_token(token)?;
        self.check_memory(state.as_words(), workspace.as_words())?;
        Ok(self.step_unchecked(token, state.as_words_mut(), workspace.as_words_mut()))
    }

    /// The same where token and memory are known to fit. If they don't, the logits are wrong or none.
    pub(crate) fn step_unchecked<'w>(
        &self,
        token: Token,
        state: &mut [u32],
        workspace: &'w mut [u32],
    ) -> Logits<'w> {
        let workspace = self.needed(workspace);
        self.network.step(token, state, workspace);
        self.logits(workspace)
    }

    /// What a step needs of a workspace, which may be longer.
    pub(crate) fn needed<'w>(&self, workspace: &'w mut [u32]) -> &'w mut [u32] {
        workspace
            .get_mut(..self.sizes.workspace)
            .unwrap_or_default()
    }

    /// The logits that a step left at the end of what it needed.
    pub(crate) fn logits<'w>(&self, needed: &'w mut [u32]) -> Logits<'w> {
        let from = self.sizes.workspace.saturating_sub(self.vocab.size());
        let logits = needed.get_mut(from..).unwrap_or_default();
        Logits::new(self.header.precision, logits)
    }

    /// A step of each of these, whose memory is known to fit.
    #[cfg(feature = "batch")]
    pub(crate) fn step_together(&self, streams: &mut impl Streams) {
        self.network.step_together(streams);
    }

    /// The hidden state h of a layer, unit by unit. Layer 0 is next to the input.
    ///
    /// # Errors
    /// [`Error::StateSize`] or [`Error::UnknownLayer`].
    pub fn hidden_state<S>(
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
    pub fn cell_state<S>(
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
    /// [`Error::StateSize`], [`Error::UnknownLayer`], or [`Error::BufferLength`] if `h` or `c` has
    /// another length.
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
                return Err(Error::BufferLength { expected, actual });
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

    pub(crate) const fn check_token(&self, token: Token) -> Result<(), Error> {
        if self.vocab.contains(token) {
            Ok(())
        } else {
            Err(Error::UnknownToken(token.0))
        }
    }

    pub(crate) const fn check_state(&self, state: &[u32]) -> Result<(), Error> {
        let (expected, actual) = (self.sizes.state, state.len());
        if actual == expected {
            Ok(())
        } else {
            Err(Error::StateSize { expected, actual })
        }
    }

    pub(crate) fn check_memory(&self, state: &[u32], workspace: &[u32]) -> Result<(), Error> {
        self.check_state(state)?;
        let (expected, actual) = (self.sizes.workspace, workspace.len());
        if actual >= expected {
            Ok(())
        } else {
            Err(Error::WorkspaceSize { expected, actual })
        }
    }
}

const fn mark(token: Option<u16>) -> Option<Token> {
    match token {
        Some(token) => Some(Token(token)),
        None => None,
    }
}

/// A file whose length is right.
#[derive(Clone, Copy, Debug)]
struct File<'a> {
    prelude: Prelude,
    /// What the checksum covers before it stands there itself.
    start: &'a [u8],
    /// What follows the prelude.
    body: &'a [u8],
}

impl<'a> File<'a> {
    const fn open(bytes: &'a [u8]) -> Result<Self, Error> {
        let prelude = match Prelude::read(bytes) {
            Ok(prelude) => prelude,
            Err(error) => return Err(error),
        };
        let file_len = prelude.file_len as usize;
        if bytes.len() < file_len {
            return Err(Error::Truncated {
                expected: file_len,
                actual: bytes.len(),
            });
        }
        if bytes.len() > file_len {
            return Err(Error::TrailingBytes(bytes.len() - file_len));
        }
        let Some((start, body)) = bytes.split_at_checked(PRELUDE_LEN) else {
            return Err(Error::InvalidHeader);
        };
        let Some((start, _)) = start.split_last_chunk::<4>() else {
            return Err(Error::InvalidHeader);
        };
        Ok(Self {
            prelude,
            start,
            body,
        })
    }

    /// Compares the checksum, and reads everything but the weights.
    const fn read(&self, crc: Crc) -> Result<Model<'a>, Error> {
        if crc.finish() != self.prelude.checksum {
            return Err(Error::ChecksumMismatch);
        }
        let header_len = self.prelude.header_len as usize;
        let Some((header, rest)) = self.body.split_at_checked(header_len) else {
            return Err(Error::InvalidHeader);
        };
        let (Some((header, chars)), Some((mut padding, weights))) = (
            read_header(self.prelude.version, header),
            rest.split_at_checked(padding(header_len)),
        ) else {
            return Err(Error::InvalidHeader);
        };
        let mut unused = self.prelude.unused;
        while let [byte, rest @ ..] = padding {
            unused |= *byte as u16;
            padding = rest;
        }
        if unused != 0 {
            return Err(Error::InvalidHeader);
        }
        let vocab = match Vocab::read(
            chars,
            header.vocab_size,
            Token(header.start),
            mark(header.end),
            header.has_unknown,
        ) {
            Ok(vocab) => vocab,
            Err(error) => return Err(error),
        };
        if header.hidden_size == 0 || header.num_layers == 0 || header.embedding_size == 0 {
            return Err(Error::InvalidSizes);
        }
        let sizes = self.prelude.sizes();
        let sections = IntegerSections::of(&header);
        match Sizes::with(&header, sections) {
            Some(needed) if needed.state == sizes.state && needed.workspace == sizes.workspace => {}
            _ => return Err(Error::InvalidSizes),
        }
        if cfg!(not(feature = "f32")) && sections.is_none() {
            return Err(Error::UnsupportedPrecision);
        }
        let Some(network) = Network::new(&header, sections, weights) else {
            return Err(Error::InvalidSizes);
        };
        Ok(Model {
            header,
            sizes,
            vocab,
            network,
            checksum: self.prelude.checksum,
        })
    }
}

/// Checks a model piece by piece, for chips that have other things to do meanwhile.
///
/// ```
/// # use charlet::{Loader, Model};
/// # let bytes = include_bytes!("../doc/names-tiny.charlet");
/// # fn feed_the_watchdog() {}
/// let mut loader = Loader::new(bytes)?;
/// let model: Model = loop {
///     if let Some(model) = loader.advance(1024)? {
///         break model;
///     }
///     feed_the_watchdog();
/// };
/// # Ok::<(), charlet::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Loader<'a> {
    file: File<'a>,
    crc: Crc,
    /// What the checksum has still to cover.
    left: &'a [u8],
    /// The model once its checksum is right, whose weights are checked next.
    model: Option<Model<'a>>,
    checked: Checked,
}

impl<'a> Loader<'a> {
    /// Takes a file's bytes and looks at the first.
    ///
    /// # Errors
    /// The bytes are no model, are truncated or followed by others, or have another version.
    pub const fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        match File::open(bytes) {
            Ok(file) => Ok(Self {
                file,
                crc: Crc::new().update(file.start),
                left: file.body,
                model: None,
                checked: Checked::NOTHING,
            }),
            Err(error) => Err(error),
        }
    }

    /// Looks at about so many bytes more, each of which is looked at twice; gives the model after the
    /// last. The header, whose length is that of the alphabet, is looked at in one piece.
    ///
    /// # Errors
    /// Those of [`Model::from_bytes`].
    pub fn advance(&mut self, bytes: usize) -> Result<Option<Model<'a>>, Error> {
        let Some(model) = self.model else {
            let (now, left) = self
                .left
                .split_at_checked(bytes.max(1))
                .unwrap_or((self.left, &[]));
            self.crc = self.crc.update(now);
            self.left = left;
            if left.is_empty() {
                self.model = Some(self.file.read(self.crc)?);
            }
            return Ok(None);
        };
        let is_whole = model.network.check(&mut self.checked, bytes)?;
        Ok(is_whole.then_some(model))
    }
}
