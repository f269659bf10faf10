//! Flash, RAM and operations that a model needs on a chip.

use anyhow::{Context, Result};
use charlet::Sizes;
use charlet::format;

use super::form::Form;
use super::model_file::header;
use crate::data::alphabet::Alphabet;
use crate::model::shape::Shape;

/// What a model needs on the chip, in bytes.
pub(crate) struct Needs {
    pub(crate) flash: usize,
    pub(crate) ram: usize,
}

/// What the model will need in a form.
///
/// # Errors
/// If the network exceeds what a model file can hold.
pub(crate) fn needs(shape: Shape, alphabet: &Alphabet, form: Form) -> Result<Needs> {
    let header = header(shape, alphabet, form)?;
    let too_large = "the network is too large for a model file";
    Ok(Needs {
        flash: format::file_len(&header).context(too_large)?,
        ram: Sizes::of(&header).context(too_large)?.ram_bytes(),
    })
}
