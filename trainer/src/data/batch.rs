//! Batches of token sequences: lines padded and masked, or windows of running text.

use super::alphabet::Alphabet;
use super::corpus::Sequences;
use crate::util::rng::Random;

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
    /// Whether the hidden state is carried over from the previous batch, instead of zero.
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

    /// Lines with the mark before and after each.
    fn of_lines(mut lines: Vec<&Vec<u32>>, mark: u32) -> Self {
        lines.sort_by_key(|line| std::cmp::Reverse(line.len()));
        let sequences: Vec<_> = lines
            .into_iter()
            .map(|line| {
                let inputs = std::iter::once(mark).chain(line.iter().copied());
                let targets = line.iter().copied().chain([mark]);
                (inputs.collect(), targets.collect())
            })
            .collect();
        Self::new(&sequences, false)
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
}

impl<'c> Batches<'c> {
    /// Cuts these sequences; `window` matters for running text only.
    pub fn new(
        sequences: &'c Sequences,
        alphabet: &Alphabet,
        batch_size: usize,
        window: usize,
    ) -> Self {
        Self {
            sequences,
            start: u32::from(alphabet.start()),
            batch_size,
            window,
        }
    }

    /// Batches of one pass.
    pub fn len(&self) -> usize {
        match self.sequences {
            Sequences::Lines(lines) => lines.len().div_ceil(self.batch_size),
            Sequences::Text(text) => (text.len() / self.streams(text)).div_ceil(self.window),
        }
    }

    /// Whether there is nothing to learn.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batches of one pass: lines in random order, or in their own if `order` is `None`; the
    /// windows of a text always in theirs.
    pub fn pass(self, order: Option<&mut Random>) -> Box<dyn Iterator<Item = Batch> + 'c> {
        match self.sequences {
            Sequences::Lines(lines) => {
                let mut places: Vec<usize> = (0..lines.len()).collect();
                if let Some(order) = order {
                    order.shuffle(&mut places);
                }
                Box::new((0..self.len()).map(move |batch| {
                    let from = batch * self.batch_size;
                    let to = (from + self.batch_size).min(places.len());
                    let lines = places[from..to]
                        .iter()
                        .map(|&place| &lines[place])
                        .collect();
                    Batch::of_lines(lines, self.start)
                }))
            }
            Sequences::Text(text) => {
                Box::new((0..self.len()).map(move |window| self.window_of(text, window)))
            }
        }
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
}
