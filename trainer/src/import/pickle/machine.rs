//! The machine that a pickle is a program for: it builds objects, and calls nothing.

use std::collections::HashMap;

use anyhow::{Context, Result, bail, ensure};

/// How many objects there are.
const MAX_OBJECTS: usize = 4 << 20;

/// An object's place in the list of all.
pub(super) type Id = usize;

/// What a pickle builds.
pub(super) enum Object {
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
pub(super) struct Machine {
    objects: Vec<Object>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<usize, Id>,
}

impl Machine {
    /// All objects, and the place of the one that was saved.
    pub(super) fn run(program: &[u8]) -> Result<(Vec<Object>, Id)> {
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
