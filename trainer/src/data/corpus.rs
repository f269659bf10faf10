//! Reads a file into tokens and splits off the held-out part.

use std::collections::{HashMap, HashSet};

use anyhow::{Result, bail, ensure};
use indicatif::HumanCount;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::alphabet::Alphabet;
use super::batch::LINE_WINDOW;
use super::mark::{Choice, Chosen, Others, choose};
use super::need::of_tokens;
use super::source::{Source, counted, is_blank};
use crate::config::{DataConfig, Mode};
use crate::util::memory::available;
use crate::util::rng::Random;

/// The names that are trained on when no file is given.
pub const BUNDLED_NAMES: &str = include_str!("../../data/names.txt");

/// Characters from which on a line may be a text that was meant to be learnt with `--mode text`.
const LONG_LINE: usize = 100;

/// SHA-256 of the training and held-out files, to notice that one has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprints {
    data: String,
    validation: Option<String>,
    /// Hash of the held-out lines of a list that the first versions split or batched in another way: with equal
    /// lines, lines of blanks, or very long ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    split: Option<String>,
}

impl Fingerprints {
    fn of(data: &Source, validation: Option<&Source>) -> Self {
        Self {
            data: sha256(&data.text),
            validation: validation.map(|source| sha256(&source.text)),
            split: None,
        }
    }

    /// Hash of the held-out lines or file, or of the file that it is a share of.
    pub fn held_out(&self) -> &str {
        let split = self.split.as_deref();
        split.or(self.validation.as_deref()).unwrap_or(&self.data)
    }

    /// Compares with the hashes in a checkpoint.
    ///
    /// # Errors
    /// If they differ; names the file.
    pub fn check(&self, begun: &Self, config: &DataConfig) -> Result<()> {
        ensure!(
            !begun.data.is_empty(),
            "the network was imported, and what it has learnt isn't known"
        );
        let file = if self.data != begun.data {
            &config.path
        } else if self.validation != begun.validation {
            &config.validation
        } else {
            ensure!(
                self.split == begun.split,
                "the list has equal, blank or very long lines, which the version that began this run took in \
                 another way: begin a new run, which --init-from starts from this run's weights"
            );
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

fn sha256(text: &str) -> String {
    let digest = Sha256::digest(text);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
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
    /// How often a character of the alphabet comes at least; 0 for no matter how often.
    pub min_count: usize,
    /// The characters that became the mark, if any did.
    pub others: Option<Others>,
    /// Hashes of the files it was read from.
    pub fingerprints: Fingerprints,
}

impl Corpus {
    /// Reads, cleans and splits the data.
    ///
    /// # Errors
    /// If a file can't be read or used, or if too little is left to learn or to measure on.
    pub fn load(config: &DataConfig, window: usize, split: &mut Random) -> Result<Self> {
        Self::load_with(config, window, split, None)
    }

    /// The same with the alphabet of other weights, which has a mark.
    ///
    /// # Errors
    /// As [`load`](Self::load), and if that alphabet has hardly a character of the data.
    pub fn load_with(
        config: &DataConfig,
        window: usize,
        split: &mut Random,
        given: Option<&Alphabet>,
    ) -> Result<Self> {
        let mut source = match &config.path {
            Some(path) => Source::read_as(path, config.encoding)?,
            None => Source {
                text: BUNDLED_NAMES.to_owned(),
                notes: Vec::new(),
            },
        };
        let validation = config.validation.as_deref();
        let validation = validation.map(|path| Source::read_as(path, config.encoding));
        let mut validation = validation.transpose()?;
        for source in std::iter::once(&mut source).chain(&mut validation) {
            if config.lowercase {
                source.make_lowercase();
            }
            if let Some(form) = config.normalize {
                source.normalize(form);
            } else {
                source.note_decomposed();
            }
        }
        of_tokens(std::iter::once(&source).chain(&validation), config.mode).check(available())?;
        let (share, min_count) = (config.validation_split, config.min_count);
        let choice = Choice { min_count, given };
        match config.mode {
            Mode::Lines => Self::from_lines(&source, validation, share, split, choice),
            Mode::Text => Self::from_text(source, validation, share, window, choice),
        }
    }

    fn from_lines(
        source: &Source,
        validation: Option<Source>,
        share: f64,
        random: &mut Random,
        choice: Choice<'_>,
    ) -> Result<Self> {
        let mut fingerprints = Fingerprints::of(source, validation.as_ref());
        let mut notes = source.notes.clone();
        notes.extend(source.list_notes());
        let mut train = source.lines();
        let (mut distinct, copies) = distinct(&train);
        ensure!(
            distinct.len() > 1,
            "the list needs at least two different lines{}",
            hint_of_text(source)
        );
        let repeated = train.len() - distinct.len();
        if longest(&train) >= LINE_WINDOW {
            notes.push(format!(
                "it has {}: if it is running text, use --mode text",
                described(source)
            ));
        }
        let held_out: Vec<&str> = match &validation {
            Some(source) => {
                notes.extend_from_slice(&source.notes);
                notes.extend(source.list_notes());
                if repeated > 0 {
                    notes.push(format!("{} repeated", are(repeated, "line")));
                }
                let held_out = source.lines();
                let learnt = held_out.iter().filter(|&&line| copies.contains_key(line));
                let learnt = learnt.count();
                if learnt > 0 {
                    notes.push(format!(
                        "{learnt} of the {} held-out lines are trained on as well: the held-out loss will be too low",
                        HumanCount(held_out.len() as u64)
                    ));
                }
                held_out
            }
            None => {
                if repeated > 0 {
                    notes.push(format!(
                        "{} repeated: equal lines are either trained on or held out",
                        are(repeated, "line")
                    ));
                }
                random.shuffle(&mut distinct);
                let wanted = (train.len() as f64 * share).round() as usize;
                // As many different lines as make up the share with their copies.
                let mut lines = 0;
                let is_needed = |line: &&&str| {
                    let is_needed = lines < wanted;
                    lines += copies[**line];
                    is_needed
                };
                let count = distinct.iter().take_while(is_needed).count();
                ensure!(
                    count > 0 && count < distinct.len(),
                    "holding out {share} of {} different lines leaves nothing to learn or to measure on: \
                     change --val-split, or name a file with --val{}",
                    distinct.len(),
                    hint_of_text(source)
                );
                let (held_out, others) = distinct.split_at(count);
                train = with_copies(others, &copies);
                with_copies(held_out, &copies)
            }
        };
        let has_blanks = |source: &Source| {
            let mut lines = source.text.lines();
            lines.any(|line| !line.is_empty() && is_blank(line))
        };
        if (repeated > 0 && validation.is_none())
            || longest(&train).max(longest(&held_out)) >= LINE_WINDOW
            || std::iter::once(source).chain(&validation).any(has_blanks)
        {
            fingerprints.split = Some(sha256(&held_out.join("\n")));
        }
        let [train_lines, held_out_lines] = [&train, &held_out].map(|lines| lines.iter().copied());
        let Chosen {
            alphabet,
            min_count,
            others,
        } = choose(train_lines, held_out_lines, Mode::Lines, choice)?;
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
            min_count,
            others,
            fingerprints,
        })
    }

    fn from_text(
        source: Source,
        validation: Option<Source>,
        share: f64,
        window: usize,
        choice: Choice<'_>,
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
        let Chosen {
            alphabet,
            min_count,
            others,
        } = choose([train.as_str()], [held_out.as_str()], Mode::Text, choice)?;
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
            min_count,
            others,
            fingerprints,
        })
    }
}

/// The lines without their copies, each where it comes first, and how often each comes.
fn distinct<'l>(lines: &[&'l str]) -> (Vec<&'l str>, HashMap<&'l str, usize>) {
    let mut copies: HashMap<&str, usize> = HashMap::with_capacity(lines.len());
    let mut distinct = Vec::with_capacity(lines.len());
    for &line in lines {
        let count = copies.entry(line).or_default();
        if *count == 0 {
            distinct.push(line);
        }
        *count += 1;
    }
    (distinct, copies)
}

/// These lines, each as often as it comes.
fn with_copies<'l>(lines: &[&'l str], copies: &HashMap<&'l str, usize>) -> Vec<&'l str> {
    let copies = |line| std::iter::repeat_n(line, copies[line]);
    lines.iter().flat_map(|&line| copies(line)).collect()
}

/// Characters of the longest line.
fn longest(lines: &[&str]) -> usize {
    let lengths = lines.iter().map(|line| line.chars().count());
    lengths.max().unwrap_or(0)
}

/// What else a list that is too short may be.
fn hint_of_text(source: &Source) -> String {
    if longest(&source.lines()) < LONG_LINE {
        return String::new();
    }
    let list = described(source);
    format!(". It has {list}: for running text, use --mode text")
}

/// The size of a list.
fn described(source: &Source) -> String {
    let lengths = source.numbered_lines();
    let lengths = lengths.map(|(number, line)| (line.chars().count(), number));
    let (longest, number) = lengths.max().unwrap_or_default();
    format!(
        "{}, the longest of {} characters (line {number})",
        counted(source.lines().len(), "line"),
        HumanCount(longest as u64)
    )
}

/// As many, with the verb.
fn are(count: usize, what: &str) -> String {
    let verb = if count == 1 { "is" } else { "are" };
    format!("{} {verb}", counted(count, what))
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
        let corpus = Corpus::from_lines(
            &source,
            None,
            0.1,
            &mut Streams::new(3).split,
            Choice::default(),
        )
        .unwrap();
        let held_out: HashSet<String> = corpus.validation_text.lines().map(str::to_owned).collect();
        assert_eq!((held_out.len(), corpus.known.len()), (5, 45));
        assert!(held_out.is_disjoint(&corpus.known));
    }

    #[test]
    fn equal_lines_are_on_one_side_of_the_split() {
        let names: Vec<String> = (0..60).map(|n| format!("line{n}")).collect();
        let split = |text: String| {
            let source = clean(text.as_bytes()).unwrap();
            Corpus::from_lines(
                &source,
                None,
                0.1,
                &mut Streams::new(3).split,
                Choice::default(),
            )
            .unwrap()
        };
        let once = split(names.join("\n"));
        let often = split((names.join("\n") + "\n").repeat(10));
        let held_out = |corpus: &Corpus| -> Vec<String> {
            let mut lines: Vec<String> =
                corpus.validation_text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        assert_eq!(often.known, once.known);
        assert_eq!(held_out(&often).len(), 60);
        let mut distinct = held_out(&often);
        distinct.dedup();
        assert_eq!(distinct, held_out(&once));
        assert!(distinct.iter().all(|line| !often.known.contains(line)));
        assert!(
            often.notes[0].contains("540 lines are repeated"),
            "{:?}",
            often.notes
        );
        assert!(once.notes.is_empty());
        // Runs of the first versions go on where nothing has changed.
        let config = crate::config::Config::defaults(Mode::Lines).data;
        let begun = |corpus: &Corpus| Fingerprints {
            split: None,
            ..corpus.fingerprints.clone()
        };
        once.fingerprints.check(&begun(&once), &config).unwrap();
        let refused = often.fingerprints.check(&begun(&often), &config);
        assert!(refused.unwrap_err().to_string().contains("--init-from"));
    }

    #[test]
    fn held_out_lines_that_are_learnt_too_are_counted() {
        let train = clean(b"anna\nberta\n").unwrap();
        let held_out = clean(b"berta\ncarla\nberta\n").unwrap();
        let mut random = Streams::new(3).split;
        let corpus =
            Corpus::from_lines(&train, Some(held_out), 0.1, &mut random, Choice::default())
                .unwrap();
        assert!(
            corpus.notes[0].contains("2 of the 3 held-out lines"),
            "{:?}",
            corpus.notes
        );
    }

    #[test]
    fn running_text_in_a_list_is_noticed() {
        let load = |lines: &[String]| {
            let source = clean(lines.join("\n").as_bytes()).unwrap();
            Corpus::from_lines(
                &source,
                None,
                0.1,
                &mut Streams::new(3).split,
                Choice::default(),
            )
        };
        let chapter =
            |n: usize| format!("chapter {n} ") + "once upon a time ".repeat(70).trim_end();
        let chapters: Vec<String> = (0..12).map(chapter).collect();
        let notes = load(&chapters).unwrap().notes;
        let is_told = |text: &str| text.contains("--mode text") && text.contains(" of 1,");
        assert!(
            is_told(&notes[0]) && notes[0].contains("12 lines"),
            "{notes:?}"
        );
        let few = load(&chapters[..3]).unwrap_err().to_string();
        assert!(is_told(&few) && few.contains("--val-split"), "{few}");
        let one = load(&chapters[..1]).unwrap_err().to_string();
        assert!(is_told(&one) && one.contains("It has 1 line,"), "{one}");
    }

    #[test]
    fn too_little_data_is_refused() {
        let lines = |text: &str, share| {
            let source = clean(text.as_bytes()).unwrap();
            Corpus::from_lines(
                &source,
                None,
                share,
                &mut Streams::new(3).split,
                Choice::default(),
            )
            .unwrap_err()
        };
        assert!(
            lines("anna\nanna", 0.1)
                .to_string()
                .contains("two different lines")
        );
        assert!(lines("anna\nbert", 0.1).to_string().contains("--val-split"));
        let text = |share, window| {
            let source = clean(b"some text").unwrap();
            Corpus::from_text(source, None, share, window, Choice::default())
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
            min_count: 0,
            others: None,
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
