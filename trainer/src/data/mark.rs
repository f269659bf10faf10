//! Which characters a model learns one by one, and which become its mark for unknown ones.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use indicatif::HumanCount;

use super::alphabet::Alphabet;
use crate::config::Mode;

/// Characters to learn for which the default asks each of them to come once more: what comes rarer than that is hardly
/// learnt, and takes room in the model all the same.
pub const CHARS_PER_COUNT: usize = 100_000;

/// What decides which characters are learnt one by one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Choice<'a> {
    /// How often a character has to come; `None` leaves it to the size of the data.
    pub min_count: Option<usize>,
    /// An alphabet with a mark, to be taken over as it is.
    pub given: Option<&'a Alphabet>,
}

/// The characters of the data that became the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Others {
    /// How many of the data's different characters are learnt one by one.
    pub kept: usize,
    /// How many different characters became the mark.
    pub marked: usize,
    /// How often those come in what is learnt.
    pub seen: usize,
    /// Characters that are learnt in all.
    pub total: usize,
    /// How often a kept character comes at least; 0 if the alphabet was taken over.
    pub min_count: usize,
}

impl std::fmt::Display for Others {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            kept,
            marked,
            min_count,
            ..
        } = *self;
        let [all, seen, total] =
            [kept + marked, self.seen, self.total].map(|count| HumanCount(count as u64));
        let marked = HumanCount(marked as u64);
        let verb = if self.marked == 1 {
            "becomes"
        } else {
            "become"
        };
        let kept = HumanCount(kept as u64);
        write!(f, "{kept} of {all} kept, {marked} ")?;
        match min_count {
            0 => write!(f, "that the first weights do not know {verb} their mark")?,
            _ => write!(f, "rarer than {min_count} {verb} one mark")?,
        }
        write!(f, " ({seen} of {total} characters)")
    }
}

/// The alphabet of a corpus, and how it was chosen.
pub(super) struct Chosen {
    pub(super) alphabet: Alphabet,
    pub(super) min_count: usize,
    pub(super) others: Option<Others>,
}

/// Chooses the alphabet of a part to learn and a part that is held out.
///
/// The character that a running text starts with is always kept.
///
/// # Errors
/// If there are too many characters, or next to none is left.
pub(super) fn choose<'t>(
    train: impl IntoIterator<Item = &'t str>,
    held_out: impl IntoIterator<Item = &'t str>,
    mode: Mode,
    choice: Choice<'_>,
) -> Result<Chosen> {
    let mut counts = BTreeMap::<char, usize>::new();
    let (mut first, mut total) = (None, 0);
    for char in train.into_iter().flat_map(str::chars) {
        first.get_or_insert(char);
        *counts.entry(char).or_default() += 1;
        total += 1;
    }
    for char in held_out.into_iter().flat_map(str::chars) {
        counts.entry(char).or_default();
    }
    let min_count = choice.min_count.unwrap_or(total / CHARS_PER_COUNT);
    let given: Option<BTreeSet<char>> = choice.given.map(|given| given.chars().chars().collect());
    let is_frequent = |char: char, count: usize| match &given {
        Some(given) => given.contains(&char),
        None => count >= min_count,
    };
    let start = match mode {
        Mode::Lines => None,
        Mode::Text => counts.contains_key(&'\n').then_some('\n').or(first),
    };
    let (mut kept, mut marked, mut seen) = (BTreeSet::new(), 0, 0);
    let mut has_frequent = false;
    for (&char, &count) in &counts {
        has_frequent |= is_frequent(char, count);
        if is_frequent(char, count) || start == Some(char) {
            kept.insert(char);
        } else {
            marked += 1;
            seen += count;
        }
    }
    let percent = 100 * (total - seen) / total.max(1);
    ensure!(
        given.is_none() || 2 * seen <= total,
        "the first weights know {percent} % of the characters to learn, and would read all others as their mark: leave \
         out --init-from, or name weights that were trained on such a text"
    );
    ensure!(
        has_frequent,
        "every character comes less than {min_count} times: use a smaller --min-count"
    );
    let others = (marked > 0).then_some(Others {
        kept: kept.len(),
        marked,
        seen,
        total,
        min_count,
    });
    let has_mark = given.is_some() || marked > 0;
    kept.extend(given.into_iter().flatten());
    Ok(Chosen {
        alphabet: Alphabet::new(kept, first, mode, has_mark)?,
        min_count,
        others,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(min_count: usize) -> Choice<'static> {
        Choice {
            min_count: Some(min_count),
            given: None,
        }
    }

    #[test]
    fn rare_characters_become_the_mark() {
        let chosen = choose(["abba", "cab"], ["bad"], Mode::Lines, counted(2)).unwrap();
        let alphabet = chosen.alphabet;
        assert_eq!((alphabet.chars(), alphabet.size()), ("ab", 4));
        assert_eq!((alphabet.end(), alphabet.unknown()), (Some(2), Some(3)));
        assert_eq!(alphabet.encode("dab c"), [3, 0, 1, 3, 3]);
        let others = chosen.others.unwrap();
        assert_eq!(
            others.to_string(),
            "2 of 4 kept, 2 rarer than 2 become one mark (1 of 7 characters)"
        );
    }

    #[test]
    fn what_is_held_out_only_is_known_unless_a_count_is_asked_for() {
        let of = |min_count| choose(["ab"], ["abc"], Mode::Lines, counted(min_count)).unwrap();
        let all = of(0);
        assert_eq!(
            (all.alphabet.chars(), all.alphabet.unknown()),
            ("abc", None)
        );
        assert_eq!(all.others, None);
        let learnt = of(1);
        let others = learnt.others.unwrap();
        assert_eq!((learnt.alphabet.chars(), others.seen), ("ab", 0));
        assert!(
            others
                .to_string()
                .contains("1 rarer than 1 becomes one mark")
        );
        // No character, no mark.
        let none = choose(["ab"], ["ab"], Mode::Lines, counted(1)).unwrap();
        assert_eq!((none.alphabet.unknown(), none.others), (None, None));
    }

    #[test]
    fn a_text_keeps_the_character_that_it_starts_with() {
        let of = |text| choose([text], [], Mode::Text, counted(2)).unwrap().alphabet;
        let lines = of("xaa\nbb");
        assert_eq!(
            (lines.chars(), lines.start(), lines.unknown()),
            ("\nab", 0, Some(3))
        );
        let one = of("xaabb");
        assert_eq!((one.chars(), one.start(), one.unknown()), ("abx", 2, None));
        one.vocab().unwrap();
    }

    #[test]
    fn the_default_grows_with_the_data() {
        let of = |count: usize| {
            let text = "ab".repeat(count / 2 - 1) + "cd";
            choose([text.as_str()], [], Mode::Lines, Choice::default()).unwrap()
        };
        let small = of(99_998);
        assert_eq!((small.min_count, small.alphabet.chars()), (0, "abcd"));
        assert_eq!(of(100_000).alphabet.chars(), "abcd");
        let large = of(200_000);
        assert_eq!((large.min_count, large.alphabet.chars()), (2, "ab"));
    }

    #[test]
    fn a_given_alphabet_is_taken_over_with_what_the_data_need() {
        let given = choose(["aabbx"], [], Mode::Lines, counted(2))
            .unwrap()
            .alphabet;
        let choice = Choice {
            min_count: Some(0),
            given: Some(&given),
        };
        let lines = choose(["ac", "aba"], [], Mode::Lines, choice).unwrap();
        assert_eq!(lines.alphabet, given);
        let said = lines.others.unwrap().to_string();
        assert!(
            said.contains("2 of 3 kept, 1 that the first weights do not know"),
            "{said}"
        );
        let text = choose(["ab\nac"], [], Mode::Text, choice).unwrap().alphabet;
        assert_eq!(
            (text.chars(), text.start(), text.unknown()),
            ("\nab", 0, Some(3))
        );
        // The mark stays where nothing needs it.
        assert_eq!(
            choose(["ab"], [], Mode::Lines, choice).unwrap().alphabet,
            given
        );
    }

    #[test]
    fn an_alphabet_that_would_be_next_to_nothing_is_refused() {
        let refused = |choice| {
            let chosen = choose(["xyz xyz"], [], Mode::Lines, choice);
            chosen.map(|_| ()).unwrap_err().to_string()
        };
        assert!(refused(counted(3)).contains("smaller --min-count"));
        let given = choose(["aab"], [], Mode::Lines, counted(2))
            .unwrap()
            .alphabet;
        let message = refused(Choice {
            min_count: None,
            given: Some(&given),
        });
        assert!(
            message.contains("know 0 %") && message.contains("--init-from"),
            "{message}"
        );
    }
}
