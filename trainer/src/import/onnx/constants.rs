//! The constants of an ONNX graph: in its file, or in one beside it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result, ensure};
use candle_core::DType;

use crate::import::COPIES;
use crate::import::weight::{Weight, floats};
use crate::util::memory;
use crate::util::onnx::{Tensor, data_type};

/// The constants by their names.
pub(super) struct Constants<'g> {
    tensors: HashMap<&'g str, &'g Tensor>,
    /// The folder of the graph.
    folder: PathBuf,
}

impl<'g> Constants<'g> {
    /// Those of the graph in this file.
    pub(super) fn new(tensors: HashMap<&'g str, &'g Tensor>, path: &Path) -> Self {
        Self {
            tensors,
            folder: path.with_file_name(""),
        }
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.tensors.contains_key(name)
    }

    /// The constant as a weight.
    pub(super) fn weight(&self, name: &str) -> Result<Option<Weight>> {
        let Some(tensor) = self.tensors.get(name) else {
            return Ok(None);
        };
        let dims = tensor.dims.iter().map(|&dim| Ok(usize::try_from(dim)?));
        let dims: Vec<usize> = dims.collect::<Result<_>>()?;
        let count = dims
            .iter()
            .try_fold(1usize, |all, &dim| all.checked_mul(dim));
        let count = count.with_context(|| format!("{name} is too large"))?;
        let values = self
            .values(tensor, count)
            .with_context(|| format!("{name} is damaged"))?;
        Ok(Some(Weight {
            name: name.to_owned(),
            dims,
            values,
            unreadable: None,
        }))
    }

    /// The constant as a number, if it is a single one.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        let tensor = self.tensors.get(name)?;
        if tensor.dims.iter().any(|&dim| dim != 1) || tensor.data_location == 1 {
            return None;
        }
        let raw = &tensor.raw_data[..];
        let in_32_bits = || tensor.int32_data.first().copied();
        match tensor.data_type {
            data_type::FLOAT => {
                let raw = raw.try_into().map(f32::from_le_bytes).ok();
                raw.or(tensor.float_data.first().copied()).map(f64::from)
            }
            data_type::INT32 => {
                let raw = raw.try_into().map(i32::from_le_bytes).ok();
                raw.or_else(in_32_bits).map(f64::from)
            }
            data_type::INT64 => {
                let raw = raw.try_into().map(i64::from_le_bytes).ok();
                raw.or(tensor.int64_data.first().copied())
                    .map(|value| value as f64)
            }
            data_type::BOOL => {
                let raw = raw.first().map(|&value| i32::from(value));
                raw.or_else(in_32_bits).map(f64::from)
            }
            _ => None,
        }
    }

    /// The numbers of a tensor, if they have fractions.
    fn values(&self, tensor: &Tensor, count: usize) -> Result<Vec<f32>> {
        let dtype = match tensor.data_type {
            data_type::FLOAT => DType::F32,
            data_type::DOUBLE => DType::F64,
            data_type::FLOAT16 => DType::F16,
            data_type::BFLOAT16 => DType::BF16,
            _ => return Ok(Vec::new()),
        };
        let bytes = if tensor.data_location == 1 {
            self.external(tensor)?
        } else if !tensor.raw_data.is_empty() {
            tensor.raw_data.clone()
        } else {
            match dtype {
                DType::F32 => tensor
                    .float_data
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
                DType::F64 => tensor
                    .double_data
                    .iter()
                    .flat_map(|value| value.to_le_bytes())
                    .collect(),
                _ => {
                    let bits = tensor.int32_data.iter();
                    bits.flat_map(|&bits| (bits as u16).to_le_bytes()).collect()
                }
            }
        };
        Ok(floats(&bytes, dtype, count)?.unwrap_or_default())
    }

    /// The bytes of a tensor in a file of its own, which is in the folder of the graph.
    fn external(&self, tensor: &Tensor) -> Result<Vec<u8>> {
        let entry = |key: &str| {
            let entries = &mut tensor.external_data.iter();
            let entry = entries.find(|entry| entry.key == key);
            entry.map(|entry| entry.value.as_str())
        };
        let number = |key: &str| entry(key).map(str::parse::<u64>).transpose();
        let name = Path::new(entry("location").context("it says no file")?);
        ensure!(
            name.components()
                .all(|part| matches!(part, Component::Normal(_) | Component::CurDir)),
            "its numbers are in {}, outside of the folder",
            name.display()
        );
        let path = self.folder.join(name);
        let unreadable = || format!("can't read {}, which has its numbers", path.display());
        let metadata = path.metadata().with_context(unreadable)?;
        ensure!(
            metadata.is_file(),
            "its numbers are in {}, which is no file",
            path.display()
        );
        let size = metadata.len();
        let from = number("offset")?.unwrap_or(0);
        let length = number("length")?.unwrap_or(size.saturating_sub(from));
        ensure!(
            from.checked_add(length).is_some_and(|to| to <= size),
            "its numbers are in {}, which is too short: is it that of this network?",
            path.display()
        );
        let available = memory::available();
        ensure!(
            length <= available.bytes / COPIES,
            "its numbers in {} are too many for memory: {available}",
            path.display()
        );
        let mut file = File::open(&path).with_context(unreadable)?;
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(from)).with_context(unreadable)?;
        file.take(length)
            .read_to_end(&mut bytes)
            .with_context(unreadable)?;
        Ok(bytes)
    }
}
