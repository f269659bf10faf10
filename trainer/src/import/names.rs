//! Which weight of a file is which part, as far as its user says.

use anyhow::{Result, bail, ensure};

/// Parts that can be named.
const PARTS: &str = "embedding, lstm, head or ignore";

/// A part of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Embedding,
    Lstm,
    Head,
    Ignore,
}

/// What the user says about names: `PART=NAME`, where the name is that of a weight, or what the names of a
/// part's weights begin with. Given several times, `lstm` lists the layers from first to last.
#[derive(Clone, Debug, Default)]
pub struct Mapping(Vec<(Part, String)>);

impl Mapping {
    /// Reads what was given.
    ///
    /// # Errors
    /// If it is no part and a name.
    pub fn new(given: &[String]) -> Result<Self> {
        let read = |text: &String| {
            let Some((part, name)) = text.split_once('=') else {
                bail!("--map {text} has no =: --map PART=NAME, where PART is {PARTS}");
            };
            let part = match part {
                "embedding" => Part::Embedding,
                "lstm" => Part::Lstm,
                "head" => Part::Head,
                "ignore" => Part::Ignore,
                _ => bail!("--map {text}: {part} is no part; say {PARTS}"),
            };
            ensure!(
                !name.is_empty(),
                "--map {text} has no name after its =: name a weight of the file"
            );
            Ok((part, name.to_owned()))
        };
        Ok(Self(given.iter().map(read).collect::<Result<_>>()?))
    }

    /// The names that a part has been given.
    pub(super) fn of(&self, part: Part) -> impl Iterator<Item = &str> {
        let given = self.0.iter().filter(move |(given, _)| *given == part);
        given.map(|(_, name)| name.as_str())
    }

    /// Whether a part has been given.
    pub(super) fn has(&self, part: Part) -> bool {
        self.of(part).next().is_some()
    }

    /// The place of the name that a part has been given and this weight belongs to.
    pub(super) fn place(&self, part: Part, weight: &str) -> Option<usize> {
        self.of(part).position(|name| belongs(weight, name))
    }

    /// Refuses a name that no weight has.
    pub(super) fn check<'n>(&self, weights: impl Iterator<Item = &'n str> + Clone) -> Result<()> {
        for (_, name) in &self.0 {
            ensure!(
                weights.clone().any(|weight| belongs(weight, name)),
                "it has no weight {name} for --map, but {}",
                listed(weights)
            );
        }
        Ok(())
    }
}

/// Whether a weight has this name, or is a part of what has it.
fn belongs(weight: &str, name: &str) -> bool {
    weight
        .strip_prefix(name)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '/', '_', ':']))
}

/// Some names, for an error.
pub(super) fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    const SHOWN: usize = 8;
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 => "none at all".to_owned(),
        count if count > SHOWN => {
            format!("{} and {} more", names[..SHOWN].join(", "), count - SHOWN)
        }
        _ => names.join(", "),
    }
}

/// A part of a name: numbers come in their order, 2 before 10.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Piece {
    Number(u64),
    Text(String),
}

/// What names are sorted by, as people count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Natural(Vec<Piece>);

impl Natural {
    pub(super) fn of(name: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = name;
        while let Some(first) = rest.chars().next() {
            let is_digit = first.is_ascii_digit();
            let end = rest.find(|char: char| char.is_ascii_digit() != is_digit);
            let (piece, after) = rest.split_at(end.unwrap_or(rest.len()));
            pieces.push(match piece.parse() {
                Ok(number) if is_digit => Piece::Number(number),
                _ => Piece::Text(piece.to_owned()),
            });
            rest = after;
        }
        Self(pieces)
    }

    /// Whether two names are alike but for their numbers, which then tell their order.
    pub(super) fn is_counted_with(&self, other: &Self) -> bool {
        let letters = |name: &Self| -> String {
            let texts = name.0.iter().filter_map(|piece| match piece {
                Piece::Text(text) => Some(text.as_str()),
                Piece::Number(_) => None,
            });
            texts
                .flat_map(str::chars)
                .filter(|char| char.is_alphabetic())
                .collect()
        };
        letters(self) == letters(other)
    }
}
