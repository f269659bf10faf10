//! Reads what `torch.save` has written, without running any of it.
//!
//! The file is a zip archive with a pickle, which is a small program that builds objects, and a file for the
//! numbers of each tensor. Objects are kept by their numbers, and none is copied: what refers to another often
//! takes no more memory for it.

use std::collections::HashMap;
use std::io::Cursor;
use std::rc::Rc;

use anyhow::{Context, Result, bail, ensure};
use candle_core::DType;
use serde_json::{Map, Value};
use zip::ZipArchive;

use super::weight::{Weight, floats};
use super::{unpacked, weight_limit};

/// The largest pickle: a state dict's has about a hundred bytes for each tensor.
const MAX_PICKLE: u64 = 64 << 20;
/// How deeply dicts may be nested.
const MAX_DEPTH: usize = 32;
/// How many objects are looked at, of which one may be seen by many ways.
const MAX_VISITS: usize = 1 << 20;
/// How many objects there are.
const MAX_OBJECTS: usize = 4 << 20;
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
    let mut archive = ZipArchive::new(Cursor::new(bytes)).context("it is damaged")?;
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

/// An object's place in the list of all.
type Id = usize;

/// What a pickle builds.
enum Object {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    /// A list, tuple or set.
    List(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, with its module.
    Global(String),
    /// What a function returns for these arguments, or the object of a class.
    Call(Id, Id),
    /// The attributes of an object.
    Built(Id),
    /// What stands in another file.
    Persistent(Id),
}

/// The bytes that are still to be read.
struct Input<'b>(&'b [u8]);

impl<'b> Input<'b> {
    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .context("it ends too early")?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        Ok(self.take(N)?.try_into()?)
    }

    fn byte(&mut self) -> Result<usize> {
        Ok(self.take(1)?[0].into())
    }

    fn four(&mut self) -> Result<usize> {
        Ok(u32::from_le_bytes(self.array()?) as usize)
    }

    fn eight(&mut self) -> Result<usize> {
        Ok(usize::try_from(u64::from_le_bytes(self.array()?))?)
    }

    fn text(&mut self, count: usize) -> Result<String> {
        Ok(String::from_utf8_lossy(self.take(count)?).into_owned())
    }

    fn line(&mut self) -> Result<String> {
        let end = self.0.iter().position(|&byte| byte == b'\n');
        let line = self.text(end.context("it ends too early")?)?;
        self.take(1)?;
        Ok(line)
    }

    /// A whole number of any length; what is too large is as large as it can be.
    fn long(&mut self, count: usize) -> Result<i64> {
        let bytes = self.take(count)?;
        let fill = if bytes.last().is_some_and(|&last| last >= 0x80) {
            0xff
        } else {
            0
        };
        let mut number = [fill; 8];
        if count > number.len() {
            return Ok(i64::MAX);
        }
        number[..count].copy_from_slice(bytes);
        Ok(i64::from_le_bytes(number))
    }
}

/// What runs a pickle: a stack, marks in it, and numbered objects.
#[derive(Default)]
struct Machine {
    objects: Vec<Object>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl Machine {
    /// All objects, and the place of the one that was saved.
    fn run(program: &[u8]) -> Result<(Vec<Object>, Id)> {
        let mut machine = Self::default();
        let mut input = Input(program);
        while machine.step(&mut input)? {
            // Each is much larger than its instruction.
            ensure!(
                machine.objects.len() <= MAX_OBJECTS,
                "it has too many objects"
            );
        }
        let root = machine.pop()?;
        Ok((machine.objects, root))
    }

    fn push(&mut self, object: Object) {
        self.stack.push(self.objects.len());
        self.objects.push(object);
    }

    fn pop(&mut self) -> Result<Id> {
        self.stack.pop().context("it takes what it hasn't put")
    }

    fn last(&self) -> Result<Id> {
        let last = self.stack.last().copied();
        last.context("it takes what it hasn't put")
    }

    fn pop_to_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().context("it lacks a mark")?;
        ensure!(mark <= self.stack.len(), "it lacks a mark");
        Ok(self.stack.split_off(mark))
    }

    fn extend(&mut self, values: Vec<Id>) -> Result<()> {
        let to = self.last()?;
        // Nothing that we need is in a list of another class.
        if let Object::List(list) = &mut self.objects[to] {
            list.extend(values);
        }
        Ok(())
    }

    fn set(&mut self, values: &[Id]) -> Result<()> {
        let to = self.last()?;
        if let Object::Dict(dict) = &mut self.objects[to] {
            dict.extend(values.chunks_exact(2).map(|pair| (pair[0], pair[1])));
        }
        Ok(())
    }

    fn tuple(&mut self, count: usize) -> Result<()> {
        let from = self.stack.len().checked_sub(count);
        let values = self
            .stack
            .split_off(from.context("it takes what it hasn't put")?);
        self.push(Object::List(values));
        Ok(())
    }

    fn call(&mut self) -> Result<()> {
        let (arguments, function) = (self.pop()?, self.pop()?);
        let is_dict = matches!(&self.objects[function], Object::Global(name)
            if name == "collections OrderedDict" || name == "collections defaultdict");
        self.push(if is_dict {
            Object::Dict(Vec::new())
        } else {
            Object::Call(function, arguments)
        });
        Ok(())
    }

    fn get(&mut self, at: usize) -> Result<()> {
        let id = self.memo.get(&at).context("it takes what it hasn't put")?;
        self.stack.push(*id);
        Ok(())
    }

    fn put(&mut self, at: usize) -> Result<()> {
        let last = self.last()?;
        self.memo.insert(at, last);
        Ok(())
    }

    /// Runs an instruction; `false` after the last.
    fn step(&mut self, input: &mut Input<'_>) -> Result<bool> {
        match input.take(1)?[0] {
            b'.' => return Ok(false),
            // The version, and the length of a part.
            0x80 => drop(input.byte()?),
            0x95 => drop(input.eight()?),
            b'(' => self.marks.push(self.stack.len()),
            b'0' => drop(self.pop()?),
            b'1' => drop(self.pop_to_mark()?),
            b'2' => {
                let last = self.last()?;
                self.stack.push(last);
            }
            b'N' => self.push(Object::None),
            0x88 => self.push(Object::Bool(true)),
            0x89 => self.push(Object::Bool(false)),
            b'K' => {
                let value = input.byte()?;
                self.push(Object::Int(value as i64));
            }
            b'M' => {
                let value = u16::from_le_bytes(input.array()?);
                self.push(Object::Int(value.into()));
            }
            b'J' => {
                let value = i32::from_le_bytes(input.array()?);
                self.push(Object::Int(value.into()));
            }
            0x8a => {
                let count = input.byte()?;
                let value = input.long(count)?;
                self.push(Object::Int(value));
            }
            0x8b => {
                let count = input.four()?;
                let value = input.long(count)?;
                self.push(Object::Int(value));
            }
            b'G' => {
                let value = f64::from_be_bytes(input.array()?);
                self.push(Object::Float(value));
            }
            // Texts and bytes, by the length of their length.
            0x8c | b'U' | b'C' => {
                let count = input.byte()?;
                let text = input.text(count)?;
                self.push(Object::Text(text));
            }
            b'X' | b'T' | b'B' => {
                let count = input.four()?;
                let text = input.text(count)?;
                self.push(Object::Text(text));
            }
            0x8d | 0x8e | 0x96 => {
                let count = input.eight()?;
                let text = input.text(count)?;
                self.push(Object::Text(text));
            }
            b']' | b')' | 0x8f => self.push(Object::List(Vec::new())),
            b'}' => self.push(Object::Dict(Vec::new())),
            b't' | b'l' | 0x91 => {
                let values = self.pop_to_mark()?;
                self.push(Object::List(values));
            }
            0x85 => self.tuple(1)?,
            0x86 => self.tuple(2)?,
            0x87 => self.tuple(3)?,
            b'd' => {
                let values = self.pop_to_mark()?;
                self.push(Object::Dict(Vec::new()));
                self.set(&values)?;
            }
            b'a' => {
                let value = self.pop()?;
                self.extend(vec![value])?;
            }
            b'e' | 0x90 => {
                let values = self.pop_to_mark()?;
                self.extend(values)?;
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])?;
            }
            b'u' => {
                let values = self.pop_to_mark()?;
                self.set(&values)?;
            }
            b'c' => {
                let (module, name) = (input.line()?, input.line()?);
                self.push(Object::Global(format!("{module} {name}")));
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let global = match (&self.objects[module], &self.objects[name]) {
                    (Object::Text(module), Object::Text(name)) => format!("{module} {name}"),
                    _ => bail!("a class has no name"),
                };
                self.push(Object::Global(global));
            }
            b'R' | 0x81 => self.call()?,
            0x92 => {
                self.pop()?;
                self.call()?;
            }
            b'b' => {
                let (attributes, object) = (self.pop()?, self.pop()?);
                // An ordered dict of PyTorch has its version there.
                if matches!(self.objects[object], Object::Dict(_)) {
                    self.stack.push(object);
                } else {
                    self.push(Object::Built(attributes));
                }
            }
            b'Q' => {
                let id = self.pop()?;
                self.push(Object::Persistent(id));
            }
            b'q' => {
                let at = input.byte()?;
                self.put(at)?;
            }
            b'r' => {
                let at = input.four()?;
                self.put(at)?;
            }
            0x94 => self.put(self.memo.len())?,
            b'h' => {
                let at = input.byte()?;
                self.get(at)?;
            }
            b'j' => {
                let at = input.four()?;
                self.get(at)?;
            }
            code => bail!("it has an instruction {code:#04x}, which torch.save doesn't write"),
        }
        Ok(true)
    }
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
                _ => break,
            }
        }
        Ok(None)
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
