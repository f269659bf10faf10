//! Batches of token sequences: lines padded and masked, or windows of running text and of long lines.

use std::cmp::Reverse;
use std::ops::Range;

use super::alphabet::Alphabet;
use super::corpus::Sequences;
use crate::util::rng::Random;

/// Most predictions of a line in one batch. A longer line is learnt in windows with h and c carried from each to
/// the next, so that one long line doesn't set the memory that all need.
pub const LINE_WINDOW: usize = 1024;

/// A batch of sequences, time-major: the entries of step t follow those of step t - 1.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// Length of the longest sequence.
    pub steps: usize,
    /// Number of sequences.
    pub size: usize,
    /// The tokens that are fed, `[steps, size]`.
    pub inputs: Vec<u32>,
    /// The tokens to predict, `[steps, size]`.
    pub targets: Vec<u32>,
    /// Length of each sequence, the longest first; what stands beyond it is padding.
    pub lengths: Vec<usize>,
    /// Whether the hidden state of its lanes is carried over from the first lanes of the previous batch, instead of
    /// zero.
    pub carry_state: bool,
}

impl Batch {
    /// Pads sequences of inputs and targets, which must come longest first.
    pub fn new(sequences: &[(Vec<u32>, Vec<u32>)], carry_state: bool) -> Self {
        let lengths: Vec<usize> = sequences.iter().map(|(inputs, _)| inputs.len()).collect();
        assert!(
            lengths.is_sorted_by(|a, b| a >= b),
            "the longest sequence comes first"
        );
        let (steps, size) = (lengths.first().copied().unwrap_or(0), sequences.len());
        let mut inputs = vec![0; steps * size];
        let mut targets = vec![0; steps * size];
        for (lane, sequence) in sequences.iter().enumerate() {
            for (step, (&input, &target)) in sequence.0.iter().zip(&sequence.1).enumerate() {
                inputs[step * size + lane] = input;
                targets[step * size + lane] = target;
            }
        }
        Self {
            steps,
            size,
            inputs,
            targets,
            lengths,
            carry_state,
        }
    }

    /// The predictions `window` of these lines, each with the mark before and after it. The longest line must come
    /// first; lines that end before the window are left out.
    fn of_lines(lines: &[&[u32]], mark: u32, window: Range<usize>) -> Self {
        let sequences: Vec<_> = lines
            .iter()
            .take_while(|line| line.len() >= window.start)
            .map(|line| {
                let to = window.end.min(line.len() + 1);
                let before = match window.start.checked_sub(1) {
                    Some(before) => line[before],
                    None => mark,
                };
                let targets = line[window.start..to.min(line.len())].iter().copied();
                let targets: Vec<u32> = targets.chain((to > line.len()).then_some(mark)).collect();
                let inputs =
                    std::iter::once(before).chain(line[window.start..to - 1].iter().copied());
                (inputs.collect(), targets)
            })
            .collect();
        Self::new(&sequences, window.start > 0)
    }

    /// How many targets count.
    pub fn predictions(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// 1 where a target counts, 0 for padding, `[steps, size]`.
    pub fn mask(&self) -> Vec<f32> {
        let step = |step| {
            self.lengths
                .iter()
                .map(move |&length| f32::from(u8::from(step < length)))
        };
        (0..self.steps).flat_map(step).collect()
    }
}

/// How a corpus is cut into batches.
#[derive(Clone, Copy, Debug)]
pub struct Batches<'c> {
    sequences: &'c Sequences,
    /// The token before a sequence's first.
    start: u32,
    batch_size: usize,
    window: usize,
    /// Batches of one pass.
    len: usize,
}

impl<'c> Batches<'c> {
    /// Cuts these sequences; `window` matters for running text only.
    pub fn new(
        sequences: &'c Sequences,
        alphabet: &Alphabet,
        batch_size: usize,
        window: usize,
    ) -> Self {
        let mut batches = Self {
            sequences,
            start: u32::from(alphabet.start()),
            batch_size,
            window,
            len: 0,
        };
        batches.len = match sequences {
            Sequences::Lines(lines) => {
                let groups = batches.groups(lines, (0..lines.len()).collect());
                groups
                    .iter()
                    .map(|group| windows(longest(lines, group)).0)
                    .sum()
            }
            Sequences::Text(text) => (text.len() / batches.streams(text)).div_ceil(window),
        };
        batches
    }

    /// Batches of one pass.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing to learn.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The most predictions that a batch may have, padding not counted: what memory for a batch depends on.
    pub fn largest(&self) -> usize {
        match self.sequences {
            Sequences::Lines(lines) => {
                let mut lengths: Vec<usize> = lines.iter().map(|line| predictions(line)).collect();
                lengths.sort_unstable_by_key(|&length| Reverse(length));
                let lengths = lengths.iter().take(self.batch_size);
                lengths.map(|&length| length.min(LINE_WINDOW)).sum()
            }
            Sequences::Text(text) => {
                let streams = self.streams(text);
                streams * self.window.min(text.len() / streams)
            }
        }
    }

    /// The batches of one pass: lines in random order, or in their own if `order` is `None`; the
    /// windows of a text, and of long lines, always in theirs.
    pub fn pass(self, order: Option<&mut Random>) -> Box<dyn Iterator<Item = Batch> + 'c> {
        match self.sequences {
            Sequences::Lines(lines) => {
                let mut places: Vec<usize> = (0..lines.len()).collect();
                let mut order = order;
                if let Some(order) = &mut order {
                    order.shuffle(&mut places);
                }
                let mut groups = self.groups(lines, places);
                let has_windows = lines.iter().any(|line| predictions(line) > LINE_WINDOW);
                if let (Some(order), true) = (order, has_windows) {
                    // The long ones were set apart.
                    order.shuffle(&mut groups);
                }
                Box::new(groups.into_iter().flat_map(move |mut group| {
                    group.sort_by_key(|&place| Reverse(lines[place].len()));
                    let (count, length) = windows(longest(lines, &group));
                    let group: Vec<&[u32]> = group.iter().map(|&place| &lines[place][..]).collect();
                    (0..count).map(move |window| {
                        let window = window * length..(window + 1) * length;
                        Batch::of_lines(&group, self.start, window)
                    })
                }))
            }
            Sequences::Text(text) => {
                Box::new((0..self.len()).map(move |window| self.window_of(text, window)))
            }
        }
    }

    /// The lines of each batch. Long lines are batched with others of about their length, so that as many windows
    /// as can be have all lanes, and every pass has as many batches.
    fn groups(&self, lines: &[Vec<u32>], places: Vec<usize>) -> Vec<Vec<usize>> {
        let is_short = |place: &usize| predictions(&lines[*place]) <= LINE_WINDOW;
        let (short, mut long): (Vec<usize>, Vec<usize>) = places.into_iter().partition(is_short);
        long.sort_by_key(|&place| Reverse(lines[place].len()));
        let groups = short
            .chunks(self.batch_size)
            .chain(long.chunks(self.batch_size));
        groups.map(<[usize]>::to_vec).collect()
    }

    /// Streams that read the text in parallel; fewer for a short text, so that each fills a window.
    fn streams(&self, text: &[u32]) -> usize {
        self.batch_size.min(text.len() / self.window).max(1)
    }

    /// The next tokens of every stream. What doesn't divide by the streams is left out at the end.
    fn window_of(&self, text: &[u32], window: usize) -> Batch {
        let streams = self.streams(text);
        let length = text.len() / streams;
        let from = window * self.window;
        let steps = self.window.min(length - from);
        let sequences: Vec<_> = (0..streams)
            .map(|stream| {
                let first = stream * length + from;
                let before = if first == 0 {
                    self.start
                } else {
                    text[first - 1]
                };
                let targets = text[first..first + steps].to_vec();
                let inputs = std::iter::once(before).chain(targets[..steps - 1].iter().copied());
                (inputs.collect(), targets)
            })
            .collect();
        Batch::new(&sequences, window > 0)
    }
}

/// Predictions of a line: its characters and its end.
fn predictions(line: &[u32]) -> usize {
    line.len() + 1
}

/// Predictions of the longest of these lines.
fn longest(lines: &[Vec<u32>], places: &[usize]) -> usize {
    let lengths = places.iter().map(|&place| predictions(&lines[place]));
    lengths.max().unwrap_or(0)
}

/// How many windows a sequence is cut into, and their length: equal ones, so that the last is no update on a few
/// characters.
fn windows(predictions: usize) -> (usize, usize) {
    let count = predictions.div_ceil(LINE_WINDOW).max(1);
    (count, predictions.div_ceil(count))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Mode;
    use crate::util::rng::Streams;

    #[test]
    fn lines_are_padded_and_masked() {
        let alphabet = Alphabet::of(["ab"], Mode::Lines).unwrap();
        let lines = Sequences::Lines(vec![vec![1], vec![0, 1]]);
        let batches: Vec<Batch> = Batches::new(&lines, &alphabet, 2, 8).pass(None).collect();
        let expected = Batch {
            steps: 3,
            size: 2,
            inputs: vec![2, 2, 0, 1, 1, 0],
            targets: vec![0, 1, 1, 2, 2, 0],
            lengths: vec![3, 2],
            carry_state: false,
        };
        assert_eq!(batches, [expected]);
        assert_eq!(batches[0].mask(), [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]);
        assert_eq!(batches[0].predictions(), 5);
    }

    #[test]
    fn a_pass_has_every_line_once_in_an_order_of_its_own() {
        let alphabet = Alphabet::of(["abcdefghi"], Mode::Lines).unwrap();
        let lines = Sequences::Lines((0..9).map(|token| vec![token]).collect());
        let mut random = Streams::new(5).order;
        let mut first_tokens = || {
            let pass = Batches::new(&lines, &alphabet, 4, 8).pass(Some(&mut random));
            pass.flat_map(|batch| batch.targets[..batch.size].to_vec())
                .collect::<Vec<u32>>()
        };
        let (first, second) = (first_tokens(), first_tokens());
        assert_ne!(first, second);
        for mut pass in [first, second] {
            pass.sort();
            assert_eq!(pass, (0..9).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn windows_of_a_text_follow_each_other_in_every_stream() {
        let alphabet = Alphabet::of(["0123456789abc"], Mode::Text).unwrap();
        let text = Sequences::Text((0..13).collect());
        let batches: Vec<Batch> = Batches::new(&text, &alphabet, 2, 4).pass(None).collect();
        assert_eq!(batches.len(), Batches::new(&text, &alphabet, 2, 4).len());
        assert_eq!(batches[0].targets, [0, 6, 1, 7, 2, 8, 3, 9]);
        assert_eq!(
            batches[0].inputs,
            [0, 5, 0, 6, 1, 7, 2, 8],
            "the start token is '0' here"
        );
        assert_eq!(batches[1].targets, [4, 10, 5, 11]);
        assert_eq!(batches[1].inputs, [3, 9, 4, 10]);
        assert_eq!(
            (batches[0].carry_state, batches[1].carry_state),
            (false, true)
        );
    }

    #[test]
    fn a_short_text_has_fewer_streams() {
        let alphabet = Alphabet::of(["0123456789"], Mode::Text).unwrap();
        let text = Sequences::Text((0..10).collect());
        let batches: Vec<Batch> = Batches::new(&text, &alphabet, 64, 4).pass(None).collect();
        assert_eq!((batches[0].size, batches[0].steps), (2, 4));
        assert_eq!(batches.iter().map(Batch::predictions).sum::<usize>(), 10);
    }

    /// The lines that some batches were made of, each with the mark after it.
    fn joined(batches: &[Batch]) -> Vec<Vec<u32>> {
        let mut joined: Vec<Vec<u32>> = Vec::new();
        let mut first = 0;
        for batch in batches {
            if !batch.carry_state {
                first = joined.len();
                joined.resize(first + batch.size, Vec::new());
            }
            for (lane, &length) in batch.lengths.iter().enumerate() {
                for step in 0..length {
                    let (input, target) = (step * batch.size + lane, &mut joined[first + lane]);
                    assert_eq!(batch.inputs[input], target.last().copied().unwrap_or(2));
                    target.push(batch.targets[input]);
                }
            }
        }
        joined
    }

    #[test]
    fn long_lines_are_learnt_in_windows_of_bounded_size() {
        let alphabet = Alphabet::of(["ab"], Mode::Lines).unwrap();
        let lengths = [5, 3000, LINE_WINDOW, 7, LINE_WINDOW - 1, 9, 1500];
        let line = |length: usize| (0..length).map(|at| (at % 3 % 2) as u32).collect();
        let lines: Vec<Vec<u32>> = lengths.into_iter().map(line).collect();
        let sequences = Sequences::Lines(lines.clone());
        let batches = Batches::new(&sequences, &alphabet, 2, 8);
        let mut random = Streams::new(5).order;
        let passes = [None, Some(&mut random)].map(|order| batches.pass(order).collect::<Vec<_>>());
        for pass in passes {
            // Two batches of short lines, one of 3000 and 1500, one of the line that is just too long.
            assert_eq!((pass.len(), batches.len()), (7, 7));
            let largest = pass.iter().map(Batch::predictions).max().unwrap();
            assert!(largest <= batches.largest() && batches.largest() <= 2 * LINE_WINDOW);
            // Windows are of equal length, but for rounding.
            let steps: Vec<usize> = pass.iter().map(|batch| batch.steps).collect();
            for (steps, count) in [(1001, 2), (999, 1), (513, 1), (512, 1)] {
                let found = pass.iter().filter(|batch| batch.steps == steps).count();
                assert_eq!(found, count, "{steps}");
            }
            assert!(steps.iter().all(|&steps| steps <= LINE_WINDOW));
            let mut joined = joined(&pass);
            let mut expected: Vec<Vec<u32>> = lines.clone();
            expected.iter_mut().for_each(|line| line.push(2));
            joined.sort();
            expected.sort();
            assert!(joined == expected);
        }
    }

    #[test]
    fn lines_up_to_the_window_are_batched_in_the_order_of_the_shuffle() {
        let alphabet = Alphabet::of(["a"], Mode::Lines).unwrap();
        let line = |length: usize| vec![0; length % LINE_WINDOW];
        let lines: Vec<Vec<u32>> = (0..40).map(|n| line(n * 397)).collect();
        let sequences = Sequences::Lines(lines.clone());
        let mut places: Vec<usize> = (0..40).collect();
        let (mut one, mut other) = (Streams::new(5).order, Streams::new(5).order);
        one.shuffle(&mut places);
        let pass = Batches::new(&sequences, &alphabet, 8, 8).pass(Some(&mut other));
        for (batch, places) in pass.zip(places.chunks(8)) {
            let mut lengths: Vec<usize> = places.iter().map(|&at| lines[at].len() + 1).collect();
            lengths.sort_by_key(|&length| Reverse(length));
            assert_eq!(batch.lengths, lengths);
        }
        assert_eq!(one, other, "no draws but those of the shuffle");
    }
}
