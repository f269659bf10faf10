//! Reads what `torch.save` has written, without running any of it.
//!
//! The file is a zip archive with a pickle, which is a small program that builds objects, and a file for the
//! numbers of each tensor. Objects are kept by their numbers, and none is copied: what refers to another often
//! takes no more memory for it.
//!
//! The tensor library has a reader, too. It takes as much memory as a damaged length says, and knows fewer of a
//! pickle's instructions.

mod machine;

use std::collections::HashMap;
use std::io::Cursor;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use candle_core::DType;
use serde_json::{Map, Value};
use zip::ZipArchive;

use machine::{Id, Machine, Object};

use super::weight::{Weight, floats};
use super::{archive, unpacked, weight_limit};

/// The largest pickle: a state dict's has about a hundred bytes for each tensor.
const MAX_PICKLE: u64 = 64 << 20;
/// How deeply dicts may be nested.
const MAX_DEPTH: usize = 32;
/// How many objects are looked at, of which one may be seen by many ways.
const MAX_VISITS: usize = 1 << 20;
/// How many bytes the names and texts have that are looked at, of which one may be seen by many ways.
const MAX_TEXTS: usize = 256 << 20;

/// What was saved.
pub(super) struct Saved {
    /// The tensors by the names of the dicts and modules that they are in, in their order.
    pub(super) weights: Vec<Weight>,
    /// What else there is: a dict's names, numbers and texts, as in JSON.
    pub(super) others: Value,
}

/// Reads a file's bytes.
pub(super) fn read(bytes: &[u8]) -> Result<Saved> {
    let mut archive = archive(bytes)?;
    let names = archive
        .file_names()
        .map(|name| name.map(|name| name.into_owned()));
    let names = names.collect::<Result<Vec<String>, _>>()?;
    let pickle = names.iter().find(|name| name.ends_with("data.pkl"));
    let pickle = pickle.context("it is a zip archive without a state dict of PyTorch in it")?;
    let folder = pickle.strip_suffix("data.pkl").unwrap_or("").to_owned();
    if let Ok(order) = unpacked(&mut archive, &format!("{folder}byteorder"), 16) {
        ensure!(
            order == b"little",
            "its numbers are big-endian: save it on another machine"
        );
    }
    let program = unpacked(&mut archive, pickle, MAX_PICKLE)?;
    let (objects, root) = Machine::run(&program).context("its pickle can't be read")?;
    let mut reader = Reader {
        archive,
        folder,
        objects: &objects,
        weights: Vec::new(),
        visits: 0,
        texts: 0,
        left: weight_limit(bytes.len()),
        stored: HashMap::new(),
    };
    let others = reader.walk(root, "", 0)?;
    Ok(Saved {
        weights: reader.weights,
        others,
    })
}

/// Collects the tensors of a pickle's objects.
struct Reader<'o> {
    archive: ZipArchive<Cursor<&'o [u8]>>,
    folder: String,
    objects: &'o [Object],
    weights: Vec<Weight>,
    visits: usize,
    /// Bytes of the names and texts that were looked at.
    texts: usize,
    /// Bytes that weights may still take.
    left: u64,
    /// Stored numbers by their type, name and count.
    stored: HashMap<(&'o str, &'o str, usize), Rc<[f32]>>,
}

/// Attributes of a module that hold other modules and weights; their names are no part of a weight's name.
const TRANSPARENT: [&str; 3] = ["_modules", "_parameters", "_buffers"];

impl<'o> Reader<'o> {
    /// Collects the tensors below an object, and returns what else it is.
    fn walk(&mut self, id: Id, name: &str, depth: usize) -> Result<Value> {
        self.visits += 1;
        ensure!(
            depth <= MAX_DEPTH && self.visits <= MAX_VISITS,
            "its pickle has too many objects"
        );
        let objects = self.objects;
        self.count(name)?;
        Ok(match &objects[id] {
            Object::Bool(value) => Value::Bool(*value),
            Object::Int(value) => Value::from(*value),
            Object::Float(value) => Value::from(*value),
            Object::Text(text) => {
                self.count(text)?;
                Value::from(text.as_str())
            }
            Object::List(values) => {
                let mut list = Vec::new();
                for (at, &value) in values.iter().enumerate() {
                    list.push(self.walk(value, &joined(name, &at.to_string()), depth + 1)?);
                }
                Value::Array(list)
            }
            Object::Dict(entries) => self.dict(entries, name, depth)?,
            Object::Built(attributes) => self.walk(*attributes, name, depth + 1)?,
            Object::Call(function, arguments) => {
                if let Some(weight) = self.tensor(*function, *arguments, name)? {
                    self.weights.push(weight);
                }
                Value::Null
            }
            Object::None | Object::Global(_) | Object::Persistent(_) => Value::Null,
        })
    }

    /// Counts a text that is kept, which may be one that others have, too.
    fn count(&mut self, text: &str) -> Result<()> {
        self.texts += text.len();
        ensure!(
            self.texts <= MAX_TEXTS,
            "its pickle has texts that are too long"
        );
        Ok(())
    }

    fn dict(&mut self, entries: &[(Id, Id)], name: &str, depth: usize) -> Result<Value> {
        let objects = self.objects;
        let mut map = Map::new();
        for &(key, value) in entries {
            let key = match &objects[key] {
                Object::Text(key) => {
                    self.count(key)?;
                    key.clone()
                }
                Object::Int(key) => key.to_string(),
                _ => continue,
            };
            // Averages of gradients beside the network, and weights that have names elsewhere.
            if key.starts_with("optim") || key == "_flat_weights" {
                continue;
            }
            let inside = if TRANSPARENT.contains(&key.as_str()) {
                name.to_owned()
            } else {
                joined(name, &key)
            };
            let value = self.walk(value, &inside, depth + 1)?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }

    fn list(&self, id: Id) -> Result<&[Id]> {
        match &self.objects[id] {
            Object::List(values) => Ok(values),
            _ => bail!("a tensor of it is damaged"),
        }
    }

    fn number(&self, id: Id) -> Result<usize> {
        match self.objects[id] {
            Object::Int(value) => Ok(usize::try_from(value)?),
            _ => bail!("a tensor of it is damaged"),
        }
    }

    fn numbers(&self, id: Id) -> Result<Vec<usize>> {
        let values = self.list(id)?;
        ensure!(values.len() <= MAX_DEPTH, "it has too many dimensions");
        let values = values.iter();
        values.map(|&value| self.number(value)).collect()
    }

    /// The tensor that a call makes, if it makes one.
    fn tensor(&mut self, function: Id, arguments: Id, name: &str) -> Result<Option<Weight>> {
        let objects = self.objects;
        let global = |id: Id| match &objects[id] {
            Object::Global(name) => name.as_str(),
            _ => "",
        };
        let (mut function, mut arguments) = (function, arguments);
        // A parameter is a tensor with some properties around.
        for _ in 0..MAX_DEPTH {
            let damaged = || format!("{name} is damaged");
            match global(function) {
                "torch._utils _rebuild_parameter"
                | "torch._utils _rebuild_parameter_with_state"
                | "torch.nn.parameter Parameter" => {
                    let &[inner, ..] = self.list(arguments)? else {
                        bail!(damaged());
                    };
                    let Object::Call(inner, of) = objects[inner] else {
                        bail!(damaged());
                    };
                    (function, arguments) = (inner, of);
                }
                "torch._tensor _rebuild_from_type_v2" => {
                    let &[inner, _, of, ..] = self.list(arguments)? else {
                        bail!(damaged());
                    };
                    (function, arguments) = (inner, of);
                }
                "torch._utils _rebuild_tensor_v2" | "torch._utils _rebuild_tensor" => {
                    let weight = self.rebuilt(arguments, name);
                    return weight.with_context(damaged).map(Some);
                }
                other => {
                    let unreadable = self.unreadable(other, arguments);
                    return Ok(unreadable.map(|why| Weight {
                        name: name.to_owned(),
                        dims: Vec::new(),
                        values: Vec::new(),
                        unreadable: Some(why),
                    }));
                }
            }
        }
        Ok(None)
    }

    /// Why a tensor that this function makes can't be read; nothing of what makes no tensor.
    fn unreadable(&self, function: &str, arguments: Id) -> Option<String> {
        let argument = |at: usize| match self.objects[*self.list(arguments).ok()?.get(at)?] {
            Object::Global(ref name) => Some(name.trim_start_matches("torch ")),
            _ => None,
        };
        let function = function.strip_prefix("torch._utils _rebuild_")?;
        Some(match function {
            "tensor_v3" => format!(
                "has numbers of the type {}: save it with .to(torch.float32)",
                argument(6).unwrap_or("of a newer PyTorch")
            ),
            "meta_tensor_no_storage" => {
                "has no numbers, as it is on the device meta: load its weights before you save it"
                    .to_owned()
            }
            "sparse_tensor" => "is sparse: save it with .to_dense()".to_owned(),
            "qtensor" => "is quantized: save it with .dequantize()".to_owned(),
            other => {
                format!("is no plain tensor ({other}): save it with .detach().to(torch.float32)")
            }
        })
    }

    /// The tensor that is a part of a stored list of numbers.
    fn rebuilt(&mut self, arguments: Id, name: &str) -> Result<Weight> {
        let objects = self.objects;
        let &[storage, offset, size, stride, ..] = self.list(arguments)? else {
            bail!("it lacks its sizes");
        };
        let (offset, dims, strides) = (
            self.number(offset)?,
            self.numbers(size)?,
            self.numbers(stride)?,
        );
        let Object::Persistent(storage) = objects[storage] else {
            bail!("it lacks its numbers");
        };
        let &[_, kind, key, _, count] = self.list(storage)? else {
            bail!("it lacks its numbers");
        };
        let (Object::Global(kind), Object::Text(key)) = (&objects[kind], &objects[key]) else {
            bail!("it lacks its numbers");
        };
        let weight = |values| Weight {
            name: name.to_owned(),
            dims: dims.clone(),
            values,
            unreadable: None,
        };
        let dtype = match kind.rsplit([' ', '.']).next() {
            Some("FloatStorage") => DType::F32,
            Some("DoubleStorage") => DType::F64,
            Some("HalfStorage") => DType::F16,
            Some("BFloat16Storage") => DType::BF16,
            // It may count batches, say.
            _ => return Ok(weight(Vec::new())),
        };
        let stored = self.number(count)?;
        // Tensors may share what is stored: it is read once.
        let numbers = match self.stored.get(&(kind, key, stored)) {
            Some(numbers) => Rc::clone(numbers),
            None => {
                self.take(stored)?;
                let path = format!("{}data/{key}", self.folder);
                let bytes = (stored * dtype.size_in_bytes()) as u64;
                let bytes = unpacked(&mut self.archive, &path, bytes)?;
                let numbers: Rc<[f32]> = floats(&bytes, dtype, stored)?.unwrap_or_default().into();
                self.stored.insert((kind, key, stored), numbers.clone());
                numbers
            }
        };
        let count = dims
            .iter()
            .try_fold(1usize, |all, &dim| all.checked_mul(dim));
        let count = count.filter(|&count| count <= numbers.len());
        self.take(count.context("it is larger than what is stored of it")?)?;
        let values = strided(&numbers, offset, &dims, &strides);
        Ok(weight(
            values.context("it is larger than what is stored of it")?,
        ))
    }

    /// Takes memory for so many numbers of what weights may take.
    fn take(&mut self, count: usize) -> Result<()> {
        let bytes = (count as u64).checked_mul(size_of::<f32>() as u64);
        let left = bytes.and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.context("the weights are too large for their file or for memory")?;
        Ok(())
    }
}

/// The numbers of a tensor in row order, where a step in each dimension is so far in the stored ones.
fn strided(values: &[f32], offset: usize, dims: &[usize], strides: &[usize]) -> Option<Vec<f32>> {
    let count = dims.iter().product();
    if strides.len() != dims.len() {
        return None;
    }
    let mut taken = Vec::with_capacity(count);
    for mut at in 0..count {
        let mut place = offset;
        for (&dim, &stride) in dims.iter().zip(strides).rev() {
            place = place.checked_add((at % dim).checked_mul(stride)?)?;
            at /= dim;
        }
        taken.push(*values.get(place)?);
    }
    Some(taken)
}

fn joined(name: &str, part: &str) -> String {
    if name.is_empty() {
        part.to_owned()
    } else {
        format!("{name}.{part}")
    }
}
