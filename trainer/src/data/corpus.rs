//! Reads a file into tokens and splits off the held-out part.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::alphabet::Alphabet;
use super::need::of_tokens;
use super::source::Source;
use crate::config::{DataConfig, Mode};
use crate::util::memory::available;
use crate::util::rng::Random;

/// The names that are trained on when no file is given.
pub const BUNDLED_NAMES: &str = include_str!("../../data/names.txt");

/// SHA-256 of the training and held-out files, to notice that one has changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    data: String,
    validation: Option<String>,
}

impl Fingerprints {
    fn of(data: &Source, validation: Option<&Source>) -> Self {
        let hash = |source: &Source| {
            let digest = Sha256::digest(&source.text);
            digest.iter().map(|byte| format!("{byte:02x}")).collect()
        };
        Self {
            data: hash(data),
            validation: validation.map(hash),
        }
    }

    /// Hash of the held-out file, or of the file that it is a share of.
    pub fn held_out(&self) -> &str {
        self.validation.as_deref().unwrap_or(&self.data)
    }

    /// Compares with the hashes in a checkpoint.
    ///
    /// # Errors
    /// If they differ; names the file.
    pub fn check(&self, begun: &Self, config: &DataConfig) -> Result<()> {
        let file = if self.data != begun.data {
            &config.path
        } else if self.validation != begun.validation {
            &config.validation
        } else {
            return Ok(());
        };
        let name = match file {
            Some(path) => path.display().to_string(),
            None => "the bundled list of names".to_owned(),
        };
        bail!(
            "{name} is not what it was when this run began: put that back, or learn the new one in \
             a new run, which --init-from starts from this run's weights"
        )
    }
}

/// Token sequences to train or evaluate on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sequences {
    /// Each line by itself, without marks.
    Lines(Vec<Vec<u32>>),
    /// One text.
    Text(Vec<u32>),
}

impl Sequences {
    /// How many tokens are predicted: all characters, and the end of each line.
    pub fn predictions(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.iter().map(|line| line.len() + 1).sum(),
            Self::Text(text) => text.len(),
        }
    }

    /// How many tokens are predicted in a line, on average; of running text, nothing.
    pub fn predictions_per_line(&self) -> Option<f64> {
        match self {
            Self::Lines(lines) => Some(self.predictions() as f64 / lines.len() as f64),
            Self::Text(_) => None,
        }
    }
}

/// A corpus, tokenized and split.
#[derive(Clone, Debug)]
pub struct Corpus {
    /// The alphabet.
    pub alphabet: Alphabet,
    /// The training part.
    pub train: Sequences,
    /// The held-out part.
    pub validation: Sequences,
    /// The held-out part as text, for the runtime.
    pub validation_text: String,
    /// The training lines, to tell whether a sample is new; empty for running text.
    pub known: HashSet<String>,
    /// Notes on what was changed while reading.
    pub notes: Vec<String>,
    /// Hashes of the files it was read from.
    pub fingerprints: Fingerprints,
}

impl Corpus {
    /// Reads, cleans and splits the data.
    ///
    /// # Errors
    /// If a file can't be read or used, or if too little is left to learn or to measure on.
    pub fn load(config: &DataConfig, window: usize, split: &mut Random) -> Result<Self> {
        let mut source = match &config.path {
            Some(path) => Source::read(path)?,
            None => Source {
                text: BUNDLED_NAMES.to_owned(),
                notes: Vec::new(),
            },
        };
        let mut validation = config.validation.as_deref().map(Source::read).transpose()?;
        if config.lowercase {
            for source in std::iter::once(&mut source).chain(&mut validation) {
                source.make_lowercase();
            }
        }
        of_tokens(std::iter::once(&source).chain(&validation), config.mode).check(available())?;
        match config.mode {
            Mode::Lines => Self::from_lines(&source, validation, config.validation_split, split),
            Mode::Text => Self::from_text(source, validation, config.validation_split, window),
        }
    }

    fn from_lines(
        source: &Source,
        validation: Option<Source>,
        share: f64,
        random: &mut Random,
    ) -> Result<Self> {
        let fingerprints = Fingerprints::of(source, validation.as_ref());
        let mut notes = source.notes.clone();
        let mut train = source.lines();
        let distinct: HashSet<&str> = train.iter().copied().collect();
        ensure!(
            distinct.len() > 1,
            "the list needs at least two different lines"
        );
        if distinct.len() < train.len() {
            notes.push(format!(
                "{} lines are repeated",
                train.len() - distinct.len()
            ));
        }
        let held_out: Vec<&str> = match &validation {
            Some(source) => {
                notes.extend_from_slice(&source.notes);
                source.lines()
            }
            None => {
                random.shuffle(&mut train);
                let count = (train.len() as f64 * share).round() as usize;
                ensure!(
                    count > 0 && count < train.len(),
                    "holding out {share} of {} lines leaves nothing to learn or to measure on: \
                     change --val-split, or name a file with --val",
                    train.len()
                );
                train.drain(..count).collect()
            }
        };
        let alphabet = Alphabet::of(
            train.iter().copied().chain(held_out.iter().copied()),
            Mode::Lines,
        )?;
        let encoder = alphabet.encoder();
        let encode = |lines: &[&str]| {
            Sequences::Lines(lines.iter().map(|line| encoder.encode(line)).collect())
        };
        Ok(Self {
            train: encode(&train),
            validation: encode(&held_out),
            validation_text: held_out.join("\n"),
            known: train.iter().map(|&line| line.to_owned()).collect(),
            alphabet,
            notes,
            fingerprints,
        })
    }

    fn from_text(
        source: Source,
        validation: Option<Source>,
        share: f64,
        window: usize,
    ) -> Result<Self> {
        let fingerprints = Fingerprints::of(&source, validation.as_ref());
        let mut notes = source.notes;
        let mut train = source.text;
        let held_out = match validation {
            Some(source) => {
                notes.extend(source.notes);
                source.text
            }
            None => {
                let chars = train.chars().count();
                let kept = chars - (chars as f64 * share).round() as usize;
                let cut = train
                    .char_indices()
                    .nth(kept)
                    .map_or(train.len(), |(at, _)| at);
                train.split_off(cut)
            }
        };
        ensure!(
            !held_out.is_empty(),
            "holding out {share} of the text leaves nothing to measure on: change --val-split, or \
             name a file with --val"
        );
        let alphabet = Alphabet::of([train.as_str(), held_out.as_str()], Mode::Text)?;
        let tokens = alphabet.encode(&train);
        ensure!(
            tokens.len() >= window,
            "the text to learn has {} characters, fewer than one window of {window}: use a longer \
             text or a smaller --window",
            tokens.len()
        );
        Ok(Self {
            train: Sequences::Text(tokens),
            validation: Sequences::Text(alphabet.encode(&held_out)),
            validation_text: held_out,
            known: HashSet::new(),
            alphabet,
            notes,
            fingerprints,
        })
    }
}

/// The loss of a bigram model: the baseline to beat.
///
/// In nats per prediction on the held-out part, with add-one smoothing.
pub fn bigram_loss(corpus: &Corpus) -> f64 {
    let size = corpus.alphabet.size();
    let mut counts = PairCounts::new(size);
    let mut totals = vec![size as f64; size];
    for (from, to) in pairs(&corpus.train, &corpus.alphabet) {
        counts.add(from, to);
        totals[from] += 1.0;
    }
    let losses = pairs(&corpus.validation, &corpus.alphabet)
        .map(|(from, to)| (totals[from] / (1.0 + f64::from(counts.of(from, to)))).ln());
    losses.sum::<f64>() / corpus.validation.predictions() as f64
}

/// How often each pair of tokens occurs.
enum PairCounts {
    /// All pairs of a small alphabet.
    Table { counts: Vec<u32>, size: usize },
    /// Those that occur, of a large one: all would take more memory than the training.
    Map(HashMap<(usize, usize), u32>),
}

impl PairCounts {
    /// Largest alphabet with a table: that takes 16 MB.
    const MAX_TABLE: usize = 2048;

    fn new(size: usize) -> Self {
        if size <= Self::MAX_TABLE {
            let counts = vec![0; size * size];
            Self::Table { counts, size }
        } else {
            Self::Map(HashMap::new())
        }
    }

    fn add(&mut self, from: usize, to: usize) {
        let count = match self {
            Self::Table { counts, size } => &mut counts[from * *size + to],
            Self::Map(counts) => counts.entry((from, to)).or_default(),
        };
        *count = count.saturating_add(1);
    }

    fn of(&self, from: usize, to: usize) -> u32 {
        match self {
            Self::Table { counts, size } => counts[from * size + to],
            Self::Map(counts) => counts.get(&(from, to)).copied().unwrap_or(0),
        }
    }
}

/// Each token with its successor, marks included.
fn pairs<'s>(
    sequences: &'s Sequences,
    alphabet: &Alphabet,
) -> Box<dyn Iterator<Item = (usize, usize)> + 's> {
    let start = u32::from(alphabet.start());
    let end = alphabet.end().map(u32::from);
    let pairs_of = move |sequence: &'s [u32]| {
        let from = std::iter::once(start).chain(sequence.iter().copied());
        let to = sequence.iter().copied().chain(end);
        from.zip(to).map(|(from, to)| (from as usize, to as usize))
    };
    match sequences {
        Sequences::Lines(lines) => Box::new(lines.iter().flat_map(move |line| pairs_of(line))),
        Sequences::Text(text) => Box::new(pairs_of(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::util::rng::Streams;

    fn clean(bytes: &[u8]) -> Result<Source> {
        Source::from_bytes(bytes.to_vec())
    }

    #[test]
    fn the_split_keeps_every_line_once() {
        let text: String = (0..50).map(|n| format!("line{n}\n")).collect();
        let source = clean(text.as_bytes()).unwrap();
        let corpus = Corpus::from_lines(&source, None, 0.1, &mut Streams::new(3).split).unwrap();
        let held_out: HashSet<String> = corpus.validation_text.lines().map(str::to_owned).collect();
        assert_eq!((held_out.len(), corpus.known.len()), (5, 45));
        assert!(held_out.is_disjoint(&corpus.known));
    }

    #[test]
    fn too_little_data_is_refused() {
        let lines = |text: &str, share| {
            let source = clean(text.as_bytes()).unwrap();
            Corpus::from_lines(&source, None, share, &mut Streams::new(3).split).unwrap_err()
        };
        assert!(
            lines("anna\nanna", 0.1)
                .to_string()
                .contains("two different lines")
        );
        assert!(lines("anna\nbert", 0.1).to_string().contains("--val-split"));
        let text = |share, window| {
            let source = clean(b"some text").unwrap();
            Corpus::from_text(source, None, share, window)
                .unwrap_err()
                .to_string()
        };
        assert!(text(0.1, 9).contains("window"));
        assert!(text(0.01, 4).contains("--val-split"));
    }

    #[test]
    fn the_bigram_loss_is_that_of_counted_pairs() {
        let corpus = Corpus {
            alphabet: Alphabet::of(["ab"], Mode::Lines).unwrap(),
            train: Sequences::Lines(vec![vec![0, 1], vec![0]]),
            validation: Sequences::Lines(vec![vec![0]]),
            validation_text: "a".to_owned(),
            known: HashSet::new(),
            notes: Vec::new(),
            fingerprints: Fingerprints::of(&clean(b"a").unwrap(), None),
        };
        // Counts plus one: mark -> a: 3 of 5; a -> mark: 2 of 5.
        let expected = -((3.0f64 / 5.0).ln() + (2.0f64 / 5.0).ln()) / 2.0;
        assert!((bigram_loss(&corpus) - expected).abs() < 1e-12);
    }

    #[test]
    fn pairs_of_a_large_alphabet_take_no_table_of_all() {
        let mut counts = PairCounts::new(60_000);
        for (from, to) in [(0, 59_999), (7, 7), (0, 59_999)] {
            counts.add(from, to);
        }
        assert_eq!(
            [counts.of(0, 59_999), counts.of(7, 7), counts.of(7, 0)],
            [2, 1, 0]
        );
        assert!(matches!(counts, PairCounts::Map(counts) if counts.len() == 2));
    }
}
