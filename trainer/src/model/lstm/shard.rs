//! Shards of a batch: lanes that one thread runs through the whole sequence.

use std::ops::Range;

use crate::data::batch::Batch;

/// Most lanes of a shard. Fixed, so that sums over a batch are in the same order for any number of
/// threads.
const LANES: usize = 16;

/// Some lanes of a batch, without padding.
///
/// The rows of step t follow those of step t - 1. Lanes are sorted by length, so that the lanes
/// still active in a step are the first ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Shard {
    /// Indices of the lanes in the batch.
    pub(super) lanes: Vec<usize>,
    /// Length of each lane.
    pub(super) lengths: Vec<usize>,
    /// The first row of each step, and the number of rows at the end.
    pub(super) first_row: Vec<usize>,
    /// The token of each row.
    pub(super) inputs: Vec<u32>,
    /// The token to predict in each row.
    pub(super) targets: Vec<u32>,
}

impl Shard {
    /// Splits a batch. Lanes are assigned round-robin, so that long and short ones spread evenly.
    pub(super) fn split(batch: &Batch) -> Vec<Self> {
        let count = batch.size.div_ceil(LANES);
        (0..count)
            .map(|first| Self::of_lanes(batch, (first..batch.size).step_by(count)))
            .collect()
    }

    /// These lanes of a batch.
    pub(super) fn of_lanes(batch: &Batch, lanes: impl Iterator<Item = usize>) -> Self {
        let mut shard = Self {
            lanes: lanes.collect(),
            ..Self::default()
        };
        shard.lengths = shard
            .lanes
            .iter()
            .map(|&lane| batch.lengths[lane])
            .collect();
        shard.first_row.push(0);
        for step in 0..shard.lengths[0] {
            for (&lane, _) in shard
                .lanes
                .iter()
                .zip(&shard.lengths)
                .filter(|(_, length)| **length > step)
            {
                let at = step * batch.size + lane;
                shard.inputs.push(batch.inputs[at]);
                shard.targets.push(batch.targets[at]);
            }
            shard.first_row.push(shard.inputs.len());
        }
        shard
    }

    /// Length of the longest lane.
    pub(super) fn steps(&self) -> usize {
        self.first_row.len() - 1
    }

    /// Rows of all steps.
    pub(super) fn rows(&self) -> usize {
        self.inputs.len()
    }

    /// Lanes that are active in a step.
    pub(super) fn active(&self, step: usize) -> usize {
        self.first_row[step + 1] - self.first_row[step]
    }

    /// Visits where the values of each lane, and of its last row, stand in buffers of this width.
    pub(super) fn at_ends(&self, width: usize, mut visit: impl FnMut(Range<usize>, Range<usize>)) {
        let span = |at: usize| at * width..(at + 1) * width;
        for (lane, &length) in self.lengths.iter().enumerate() {
            visit(span(lane), span(self.first_row[length - 1] + lane));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_every_row_once_and_no_padding() {
        // Lane n of 40 has 40 - n steps; its inputs say which lane and step it is.
        let lane = |n: u32| {
            (
                (0..40 - n).map(|t| n * 100 + t).collect(),
                vec![n; 40 - n as usize],
            )
        };
        let batch = Batch::new(&(0..40).map(lane).collect::<Vec<_>>(), false);
        let shards = Shard::split(&batch);
        assert_eq!(shards.len(), 3);
        let mut seen: Vec<u32> = shards
            .iter()
            .flat_map(|shard| shard.inputs.clone())
            .collect();
        seen.sort();
        let expected: Vec<u32> = (0..40)
            .flat_map(|n| (0..40 - n).map(move |t| n * 100 + t))
            .collect();
        assert_eq!(seen, expected);
        let second = &shards[1];
        assert_eq!(
            (second.lanes[0], second.steps(), second.active(0)),
            (1, 39, 13)
        );
        assert_eq!(
            second.inputs[second.first_row[38]], 138,
            "the longest lane alone"
        );
        assert!(
            second
                .inputs
                .iter()
                .zip(&second.targets)
                .all(|(input, target)| input / 100 == *target)
        );
    }
}
