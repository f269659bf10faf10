//! Networks that other programs have trained, as networks of ours.
//!
//! One reader per format makes the same description of it, a [`Foreign`]; characters are given to its tokens, and
//! what comes out is what a training of ours would have left: a network and its alphabet.

mod foreign;
mod keras;
mod names;
mod onnx;
mod pickle;
mod pytorch;
mod reference;
mod tokens;
mod weight;

use std::io::{Cursor, Read};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
pub use foreign::{Dense, Foreign, Layer, Matrix};
pub use names::Mapping;
pub use reference::{Original, evaluate};
pub use tokens::{Marks, Names, Tokens};
use zip::ZipArchive;

use crate::util::file_kind::{self, Kind};
use crate::util::memory;

/// How many times a file has to fit into memory: as it is, as weights, and as a network with its model.
const COPIES: u64 = 6;
/// What weights may take at least, however small their file is.
const MIN_WEIGHTS: u64 = 64 << 20;

/// Reads a network; where names leave a doubt, the mapping says what is what.
///
/// # Errors
/// If it can't be read, or has a part that no model of ours can have: names it.
pub fn read(path: &Path, mapping: &Mapping) -> Result<Foreign> {
    let bytes = file_kind::read(path, Kind::Foreign, COPIES)?;
    let foreign = match Format::of(&bytes) {
        Format::Safetensors => pytorch::from_safetensors(&bytes, mapping),
        Format::Pickle => pytorch::from_pickle(&bytes, mapping),
        Format::Keras => keras::from_archive(&bytes, mapping),
        Format::Hdf5 => keras::from_hdf5(&bytes, mapping),
        Format::OldPickle => bail!(
            "{}: it was written by PyTorch before 1.6: load it in Python and save it again with \
             torch.save(torch.load(...), ...)",
            memory::name(path)
        ),
        // Its beginning is damaged.
        Format::Unknown if path.extension() == Some("safetensors".as_ref()) => {
            pytorch::from_safetensors(&bytes, mapping)
        }
        // Its beginning says little.
        Format::Unknown => onnx::read(&bytes, path),
    };
    foreign.with_context(|| format!("can't import {}", memory::name(path)))
}

/// The formats, by how files begin.
enum Format {
    Safetensors,
    Pickle,
    Keras,
    Hdf5,
    OldPickle,
    Unknown,
}

impl Format {
    fn of(bytes: &[u8]) -> Self {
        if bytes.get(8) == Some(&b'{') && bytes.get(6..8) == Some(&[0, 0]) {
            Self::Safetensors
        } else if bytes.starts_with(b"PK\x03\x04") {
            let name = keras::WEIGHTS.as_bytes();
            // The list of an archive's files stands at its end.
            let is_keras = bytes
                .rchunks(1 << 16)
                .next()
                .is_some_and(|end| end.windows(name.len()).any(|part| part == name));
            if is_keras { Self::Keras } else { Self::Pickle }
        } else if bytes.starts_with(b"\x89HDF") {
            Self::Hdf5
        } else if bytes.starts_with(b"\x80\x02") {
            Self::OldPickle
        } else {
            Self::Unknown
        }
    }
}

/// Refuses a part that no model of ours can have; `name` is what tells of it.
fn part_refusal(name: &str, what: &str) -> anyhow::Error {
    anyhow!(
        "{name} belongs to {what}, and a charlet model has none: it is an embedding, LSTM layers and a linear layer"
    )
}

/// The same of a weight, which may be one that isn't used.
fn refusal(name: &str, what: &str) -> anyhow::Error {
    let refusal = part_refusal(name, what);
    anyhow!("{refusal} (--map ignore=NAME leaves out what isn't used)")
}

/// What the weights of a file of this many bytes may take: they may be in half precision, compressed, or have two names.
/// A damaged file may say that they are more than any memory has.
fn weight_limit(len: usize) -> u64 {
    let most = (16 * len as u64).max(MIN_WEIGHTS);
    most.min(memory::available().bytes / COPIES)
}

/// The zip archive that a file is.
fn archive(bytes: &[u8]) -> Result<ZipArchive<Cursor<&[u8]>>> {
    // What the library finds missing says nothing to those who have the file.
    ZipArchive::new(Cursor::new(bytes)).map_err(|_| {
        anyhow!("it is a zip archive that was cut off or damaged: copy it again, or save it again")
    })
}

/// A file in a zip archive, which may say less of its size than it has.
fn unpacked(archive: &mut ZipArchive<Cursor<&[u8]>>, name: &str, limit: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = archive
        .by_name(name)
        .with_context(|| format!("it lacks {name}"))?;
    anyhow::ensure!(
        file.compression() == zip::CompressionMethod::Stored,
        "{name} in it is compressed: save it again, or unpack it and pack it without compression (zip -0 -r)"
    );
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    anyhow::ensure!(
        bytes.len() as u64 <= limit,
        "{name} in it has more than {limit} bytes"
    );
    Ok(bytes)
}
