//! Named weights as a file has them.

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Device, Tensor};

use super::foreign::Matrix;

/// A tensor of a file.
#[derive(Clone, Debug)]
pub(super) struct Weight {
    /// Its name, with all prefixes.
    pub(super) name: String,
    /// Its size in each dimension.
    pub(super) dims: Vec<usize>,
    /// In row order; none if it holds something else than floating-point numbers.
    pub(super) values: Vec<f32>,
    /// Why its numbers can't be read, and what to do: what follows its name in an error.
    pub(super) unreadable: Option<String>,
}

/// Floating-point numbers in little-endian bytes, in single precision; `None` for other types.
///
/// # Errors
/// If there are more bytes than numbers, or fewer.
pub(super) fn floats(bytes: &[u8], dtype: DType, count: usize) -> Result<Option<Vec<f32>>> {
    if !matches!(dtype, DType::F32 | DType::F64 | DType::F16 | DType::BF16) {
        return Ok(None);
    }
    ensure!(
        count.checked_mul(dtype.size_in_bytes()) == Some(bytes.len()),
        "it has {} bytes for {count} numbers",
        bytes.len()
    );
    if count == 0 {
        return Ok(Some(Vec::new()));
    }
    let tensor = Tensor::from_raw_buffer(bytes, dtype, &[count], &Device::Cpu)?;
    Ok(Some(tensor.to_dtype(DType::F32)?.to_vec1()?))
}

impl Weight {
    /// Its numbers, all of them finite.
    fn checked(&self) -> Result<&[f32]> {
        let count: usize = self.dims.iter().product();
        ensure!(
            count > 0,
            "{} is {:?}: it has no numbers",
            self.name,
            self.dims
        );
        ensure!(
            count == self.values.len(),
            "{} {:?} has no floating-point numbers",
            self.name,
            self.dims
        );
        ensure!(
            self.values.iter().all(|value| value.is_finite()),
            "{} has a weight that is infinite or not a number",
            self.name
        );
        Ok(&self.values)
    }

    /// Without its first dimension, which is that of directions.
    pub(super) fn without_first(mut self) -> Result<Self> {
        ensure!(
            self.dims.first() == Some(&1),
            "{} is {:?}: a charlet model reads in one direction",
            self.name,
            self.dims
        );
        self.dims.remove(0);
        Ok(self)
    }

    /// As a matrix.
    pub(super) fn matrix(&self) -> Result<Matrix> {
        let &[rows, columns] = &self.dims[..] else {
            anyhow::bail!("{} is {:?}, and no matrix", self.name, self.dims);
        };
        Matrix::new(rows, columns, self.checked()?.to_vec())
            .with_context(|| format!("{} is {:?}", self.name, self.dims))
    }

    /// As a vector of this many numbers.
    pub(super) fn vector(&self, count: usize) -> Result<&[f32]> {
        ensure!(
            self.dims == [count],
            "{} is {:?} instead of [{count}]",
            self.name,
            self.dims
        );
        self.checked()
    }
}
