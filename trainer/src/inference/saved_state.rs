//! A saved position in a text: hidden and cell state, next token, and random-number generator.
//!
//! The file is JSON:
//!
//! ```json
//! {
//!   "charlet_state": 1,
//!   "model_sha256": "d2b1...",
//!   "token": 12,
//!   "rng": { "s": [1, 2, 3, 4] },
//!   "words": [0, 0]
//! }
//! ```
//!
//! `charlet_state` is the version of this format; `model_sha256` the hash of the model file that the
//! state belongs to; `token` what the next step feeds, the last character made; `rng` the state of
//! xoshiro128++; `words` h and c of all layers as [`State::as_words`](charlet::State::as_words) gives
//! them, in the model's own arithmetic and so without loss.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use charlet::{BoxedSession, Model, Rng, Session, Token};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::util::atomic_file::atomic_write;
use crate::util::file_kind::{self, Kind};

/// How many times a saved state has to fit into memory: as text, and as numbers.
const COPIES: u64 = 4;

/// The version of the file.
const VERSION: u32 = 1;

/// The state of xoshiro128++.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SavedRng {
    s: [u32; 4],
}

/// Where a text was left.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Saved {
    charlet_state: u32,
    model_sha256: String,
    token: u16,
    rng: SavedRng,
    words: Vec<u32>,
}

impl Saved {
    /// The bytes that every such file begins with.
    pub const BEGINNING: &[u8] = b"{\"charlet_state\"";

    /// A text of the model that this file's bytes hold, and the random numbers' place.
    pub fn new(model_file: &[u8], session: &BoxedSession<'_>, rng: &Rng) -> Self {
        let rng = rng.to_bytes();
        let mut words = rng.as_chunks().0.iter();
        Self {
            charlet_state: VERSION,
            model_sha256: sha256(model_file),
            token: session.next_input().0,
            rng: SavedRng {
                s: std::array::from_fn(|_| {
                    words.next().map_or(0, |word| u32::from_le_bytes(*word))
                }),
            },
            words: session.state().as_words().to_vec(),
        }
    }

    /// Reads what [`write`](Self::write) wrote.
    ///
    /// # Errors
    /// If the file can't be read, is damaged, or belongs to another model than these bytes hold.
    pub fn read(path: &Path, model_file: &[u8]) -> Result<Self> {
        let bytes = file_kind::read(path, Kind::State, COPIES)?;
        Self::from_bytes(&bytes, model_file)
            .with_context(|| format!("can't go on from the state {}", path.display()))
    }

    fn from_bytes(bytes: &[u8], model_file: &[u8]) -> Result<Self> {
        let saved: Self = match serde_json::from_slice(bytes) {
            Ok(saved) => saved,
            Err(error) => bail!("it is none that --state-out wrote: {error}"),
        };
        ensure!(
            saved.charlet_state == VERSION,
            "it has version {}, this charlet reads version {VERSION}",
            saved.charlet_state
        );
        let hash = sha256(model_file);
        ensure!(
            saved.model_sha256 == hash,
            "it belongs to another model, whose file has the SHA-256 {:.12}..., not {hash:.12}...",
            saved.model_sha256
        );
        let model = Model::from_bytes(model_file)?;
        let (expected, actual) = (model.sizes().state, saved.words.len());
        ensure!(
            actual == expected && model.vocab().contains(Token(saved.token)),
            "it was damaged: its words or its token don't fit the model"
        );
        Ok(saved)
    }

    /// Writes the file.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let mut json = serde_json::to_string(self)?;
        json.push('\n');
        atomic_write(path, json.as_bytes())
    }

    /// The text, where it was left.
    ///
    /// # Errors
    /// If it belongs to another model.
    pub fn session<'m>(&self, model: &'m Model<'m>) -> Result<BoxedSession<'m>, charlet::Error> {
        let mut session = Session::boxed(model);
        session.resume(&self.words, Token(self.token))?;
        Ok(session)
    }

    /// The random numbers that come next.
    pub fn rng(&self) -> Rng {
        let mut bytes = [0; 16];
        for (bytes, word) in bytes.as_chunks_mut().0.iter_mut().zip(self.rng.s) {
            *bytes = word.to_le_bytes();
        }
        Rng::from_bytes(bytes)
    }
}

fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
