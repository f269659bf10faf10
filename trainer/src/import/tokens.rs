//! Which characters a foreign network's tokens are, and which of them mark starts and ends.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use charlet::{Token, Vocab};
use serde_json::{Map, Value};

use crate::data::alphabet::Alphabet;
use crate::data::source::{Source, counted};

/// Entries of dicts in which programs keep their tokens; those that say most first.
const KEYS: [&str; 24] = [
    "chars",
    "token_to_idx",
    "idx_to_token",
    "word_index",
    "index_word",
    "stoi",
    "itos",
    "char_to_idx",
    "char2idx",
    "char_to_ix",
    "char_to_int",
    "char2int",
    "char_indices",
    "idx_to_char",
    "idx2char",
    "ix_to_char",
    "int_to_char",
    "int2char",
    "indices_char",
    "vocabulary",
    "vocab",
    "alphabet",
    "tokens",
    "c2i",
];
/// How deeply such dicts are looked for.
const MAX_DEPTH: usize = 4;
/// How a vector of zeros is called where a token is expected.
const ZEROS: &str = "zeros";

/// What a network's tokens are called, by their numbers; `None` for one without a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names(Vec<Option<String>>);

impl Names {
    /// The tokens in a file or, if there is none of that name, those that are written here.
    ///
    /// # Errors
    /// If the file can't be read, or has no list of tokens.
    pub fn read(given: &str) -> Result<Self> {
        let path = Path::new(given);
        if !path.is_file() {
            ensure!(
                !path.exists(),
                "--chars {given} is no file: name a file with the characters, or write them"
            );
            // The characters of a list come once, those of a path hardly.
            let mut once = HashSet::new();
            let is_path = given.contains('/') && !given.chars().all(|char| once.insert(char));
            let lower = given.to_lowercase();
            ensure!(
                !is_path && ![".json", ".txt"].iter().any(|end| lower.ends_with(end)),
                "--chars {given}: there is no such file"
            );
            ensure!(
                !given.is_empty(),
                "--chars is empty: give the characters in the order of their tokens, or a file with them"
            );
            return Ok(Self::of_text(given));
        }
        let source = Source::read_utf8(path)?;
        let text = &source.text;
        let is_json = path
            .extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("json"));
        if !is_json && !text.trim_start().starts_with(['{', '[']) {
            return Ok(Self::of_text(text));
        }
        let value: Value = match serde_json::from_str(text) {
            Ok(value) => value,
            Err(_) if !is_json => return Ok(Self::of_text(text)),
            Err(error) => bail!("{given} is no JSON, as its name says: {error}"),
        };
        if let Some([one, other]) = contradiction(&value, 0) {
            bail!("{given}: its {one} and {other} name other characters: leave one of them out");
        }
        Self::of_json(&value, 0).with_context(|| {
            let fault = fault(&value, 0).map_or(String::new(), |fault| format!(" ({fault})"));
            format!(
                "{given} has no list of tokens{fault}: write [\"a\", \"b\"], {{\"a\": 0, \"b\": 1}} or \
                 {{\"0\": \"a\", \"1\": \"b\"}}"
            )
        })
    }

    /// The characters of a text: in their order if each comes once, else sorted, as
    /// `sorted(set(text))` has those of a text that was learnt.
    fn of_text(text: &str) -> Self {
        let mut chars: Vec<char> = text.chars().collect();
        let mut sorted = chars.clone();
        sorted.sort_unstable();
        sorted.dedup();
        if sorted.len() < chars.len() {
            chars = sorted;
        }
        Self(chars.into_iter().map(|char| Some(char.into())).collect())
    }

    /// All lists of tokens in a dict, by their names.
    pub(super) fn found(value: &Value) -> Vec<(String, Self)> {
        let Value::Object(map) = value else {
            return Vec::new();
        };
        let known = KEYS.iter().filter_map(|key| Some((*key, map.get(*key)?)));
        let lists =
            known.filter_map(|(key, value)| Some((key.to_owned(), Self::of_json(value, 0)?)));
        lists.collect()
    }

    fn of_json(value: &Value, depth: usize) -> Option<Self> {
        match value {
            Value::Array(list) => {
                let names = list.iter().map(|name| Some(name.as_str()?.to_owned()));
                let names: Option<Vec<String>> = names.collect();
                Some(Self(names?.into_iter().map(Some).collect()))
                    .filter(|names| !names.0.is_empty())
            }
            Value::Object(map) => Self::of_map(map).or_else(|| {
                if depth == MAX_DEPTH {
                    return None;
                }
                let known = KEYS.iter().filter_map(|key| map.get(*key));
                let all = map
                    .values()
                    .filter(|value| !value.is_array() && !value.is_string());
                known
                    .chain(all)
                    .find_map(|value| Self::of_json(value, depth + 1))
            }),
            // Keras writes one in the other; the characters may also be one text.
            Value::String(text) => match serde_json::from_str(text) {
                Ok(value @ (Value::Array(_) | Value::Object(_))) if depth < MAX_DEPTH => {
                    Self::of_json(&value, depth + 1)
                }
                _ => {
                    Some(Self::of_text(text)).filter(|names| names.0.len() == text.chars().count())
                }
            },
            _ => None,
        }
    }

    /// Names by numbers, or numbers by names: all different, from 0 or 1 on.
    fn of_map(map: &Map<String, Value>) -> Option<Self> {
        let pair = |(key, value): (&String, &Value)| match value {
            Value::String(name) => Some((key.parse::<usize>().ok()?, name.clone())),
            _ => Some((usize::try_from(value.as_u64()?).ok()?, key.clone())),
        };
        let mut pairs: Vec<(usize, String)> = map.iter().map(pair).collect::<Option<_>>()?;
        pairs.sort();
        let first = pairs.first()?.0;
        let is_dense = pairs
            .iter()
            .enumerate()
            .all(|(at, (number, _))| *number == at + first);
        if first > 1 || !is_dense {
            return None;
        }
        let before = std::iter::repeat_n(None, first);
        Some(Self(
            before
                .chain(pairs.into_iter().map(|(_, name)| Some(name)))
                .collect(),
        ))
    }

    /// Whether there are as many as a network has.
    pub fn fits(&self, count: usize) -> bool {
        self.clone().fitted(count).is_ok()
    }

    /// As many as a network has.
    fn fitted(mut self, count: usize) -> Result<Self> {
        let is_off_by_one = self.0.len() == count + 1;
        if is_off_by_one && self.0.first() == Some(&None) {
            // Lua counts from 1.
            self.0.remove(0);
        } else if is_off_by_one && self.0.last() == Some(&Some("\n".to_owned())) {
            // Editors end a file with a line break.
            self.0.pop();
        }
        ensure!(
            self.0.len() == count,
            "the network has {}, and the list of its characters {}: give its own list with --chars",
            counted(count, "token"),
            self.0.len()
        );
        Ok(self)
    }
}

/// Two entries of a dict that list as many tokens, and not the same.
fn contradiction(value: &Value, depth: usize) -> Option<[&'static str; 2]> {
    let map = value.as_object().filter(|_| depth < MAX_DEPTH)?;
    let known = KEYS.iter().filter_map(|key| Some((*key, map.get(*key)?)));
    let lists = known.filter_map(|(key, value)| Some((key, Names::of_json(value, depth + 1)?.0)));
    let mut lists = lists.collect::<Vec<_>>().into_iter();
    let Some((key, names)) = lists.next() else {
        let mut inner = map.values();
        return inner.find_map(|value| contradiction(value, depth + 1));
    };
    let (other, _) = lists.find(|(_, other)| other.len() == names.len() && *other != names)?;
    Some([key, other])
}

/// Why JSON is no list of tokens, as far as an entry of it tells.
fn fault(value: &Value, depth: usize) -> Option<String> {
    if let Value::Array(list) = value {
        let at = list.iter().position(|name| !name.is_string())?;
        return Some(format!("its entry {at} is {}, no text", brief(&list[at])));
    }
    let map = value.as_object()?;
    if map
        .values()
        .any(|value| value.is_array() || value.is_object())
    {
        let mut inner = map.values().filter(|_| depth < MAX_DEPTH);
        return inner.find_map(|value| fault(value, depth + 1));
    }
    let mut numbers = HashMap::new();
    for (key, value) in map {
        let number = match value {
            Value::String(_) => key.parse().ok(),
            _ => value.as_u64(),
        };
        let Some(number) = number else {
            let value = brief(value);
            return Some(format!(
                "its entry {key:?}: {value} has no number of a token"
            ));
        };
        if let Some(other) = numbers.insert(number, key) {
            return Some(format!(
                "its entries {other:?} and {key:?} have the same number {number}"
            ));
        }
    }
    let first = u64::from(!numbers.contains_key(&0));
    let missing = (first..).find(|number| !numbers.contains_key(number))?;
    let beyond = numbers.iter().filter(|(number, _)| **number > missing);
    let (number, key) = beyond.min()?;
    Some(format!(
        "its entry {key:?} has the number {number}, and none has {missing}"
    ))
}

/// As much of a value as an error shows.
fn brief(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a dict".to_owned(),
        _ => value.to_string().chars().take(40).collect(),
    }
}

/// Which tokens mark something.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    /// What is fed before a text's first character: a token, or `zeros` for a vector of zeros.
    pub start: Option<String>,
    /// The token that ends a line; without one the network makes running text.
    pub end: Option<String>,
}

/// The alphabet that a network gets, and where its tokens were before.
#[derive(Clone, Debug)]
pub struct Tokens {
    alphabet: Alphabet,
    order: Vec<Option<usize>>,
    notes: Vec<String>,
}

impl Tokens {
    /// Gives a network's tokens their characters.
    ///
    /// # Errors
    /// If there are more or fewer names than tokens, or a token is no character and marks nothing.
    pub fn new(names: Names, count: usize, marks: &Marks) -> Result<Self> {
        let counts_from_1 = names.0.len() == count + 1 && names.0.first() == Some(&None);
        let Names(names) = names.fitted(count)?;
        let place = |option: &str, given: &Option<String>| -> Result<Option<usize>> {
            let Some(given) = given else {
                return Ok(None);
            };
            let name = unescaped(given);
            let at = names.iter().position(|known| known.as_ref() == Some(&name));
            let at = at.with_context(|| format!("{option} {given}: the network has no such token"));
            at.map(Some)
        };
        let is_zeros = marks.start.as_deref() == Some(ZEROS);
        let given_start = marks.start.clone().filter(|_| !is_zeros);
        let start = place("--start", &given_start)?;
        let end = place("--end", &marks.end)?;
        let mut chars: Vec<(char, usize)> = Vec::new();
        let (mut unknown, mut dropped) = (None, Vec::new());
        for (at, name) in names.iter().enumerate() {
            let name = name.as_deref().unwrap_or("");
            let mut letters = name.chars();
            if Some(at) == end {
                continue;
            }
            match (letters.next(), letters.next()) {
                (Some(char), None) => chars.push((char, at)),
                _ if Some(at) == start => {}
                _ if ["<unk>", "[unk]"].contains(&name.to_lowercase().as_str()) => {
                    ensure!(unknown.is_none(), "it has two tokens {name}");
                    unknown = Some(at);
                }
                (None, _) => dropped.push(format!("token {at}")),
                _ if is_mark(name) => dropped.push(name.to_owned()),
                _ => bail!(
                    "its token {at} is {name:?}, and charlet's are single characters: a network of words or \
                     syllables can't be imported"
                ),
            }
        }
        chars.sort_unstable();
        if let Some(twice) = chars.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            bail!(
                "the list of its characters has {:?} twice, as token {} and {}",
                twice[0].0,
                twice[0].1,
                twice[1].1
            );
        }
        ensure!(!chars.is_empty(), "none of its tokens is a character");
        let mut order: Vec<Option<usize>> = chars.iter().map(|&(_, at)| Some(at)).collect();
        let is_start_char = order.contains(&start) && start.is_some();
        let mut mark = |token: Option<usize>| {
            order.push(token);
            order.len() as u16 - 1
        };
        // Marks come after the characters, and that for unknown ones last.
        let own_start =
            (is_zeros || start.is_some() && !is_start_char && start != end).then(|| mark(start));
        let end = end.map(|end| mark(Some(end)));
        let unknown = unknown.map(|unknown| mark(Some(unknown)));
        let place = |char| chars.iter().position(|&(known, _)| known == char);
        let default = || place('\n').or_else(|| place(' ')).unwrap_or(0) as u16;
        let start_char = chars.iter().position(|&(_, at)| Some(at) == start);
        let start = own_start
            .or(start_char.map(|at| at as u16))
            .or(end)
            .unwrap_or_else(default);
        let size = u16::try_from(order.len()).context("it has more than 65,535 tokens")?;
        let text: String = chars.iter().map(|&(char, _)| char).collect();
        let mut notes = Vec::new();
        if counts_from_1 && let Some(Some(first)) = names.first() {
            notes.push(format!(
                "the list of its characters counts from 1, and the network's tokens from 0: {first:?} is taken for \
                 token 0"
            ));
        }
        if !dropped.is_empty() {
            notes.push(format!("left out, as no character: {}", dropped.join(", ")));
        }
        Ok(Self {
            alphabet: Alphabet::with_marks(text, size, start, end, unknown)?,
            order,
            notes,
        })
    }

    /// Those of a network of ours that comes back.
    pub fn own(alphabet: &Alphabet) -> Self {
        Self {
            alphabet: alphabet.clone(),
            order: (0..alphabet.size()).map(Some).collect(),
            notes: Vec::new(),
        }
    }

    /// The alphabet.
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// The foreign token of each of ours; `None` for one that is fed as zeros.
    pub fn order(&self) -> &[Option<usize>] {
        &self.order
    }

    /// What its user should know.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The runtime's view of the alphabet.
    pub(super) fn vocab(&self) -> Result<Vocab<'_>> {
        Ok(self.alphabet.vocab()?)
    }

    /// The foreign token of one of ours.
    pub(super) fn foreign(&self, token: Token) -> Option<usize> {
        self.order[token.index()]
    }
}

/// Whether a token of several characters is written as marks are.
fn is_mark(name: &str) -> bool {
    [("<", ">"), ("[", "]"), ("{", "}"), ("__", "__")]
        .iter()
        .any(|(open, close)| name.starts_with(open) && name.ends_with(close))
}

/// A token as it is written in a shell.
fn unescaped(given: &str) -> String {
    match given {
        "\\n" => "\n".to_owned(),
        "\\t" => "\t".to_owned(),
        _ => given.to_owned(),
    }
}
