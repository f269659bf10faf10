//! The widest network that fits a budget: of parameters, or of a chip's flash and RAM.

use anyhow::{Result, bail, ensure};
use charlet::format::Precision;
use charlet::format::layout::{COLUMNS, NIBBLE_COLUMNS, UNITS};
use indicatif::HumanCount;

use super::footprint::needs;
use super::form::Form;
use crate::config::TrainingConfig;
use crate::config::check::MAX_SIZE;
use crate::data::alphabet::Alphabet;
use crate::model::shape::Shape;

/// What a network may have or take at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Trained weights.
    pub parameters: Option<usize>,
    /// Bytes of the model file.
    pub flash: Option<usize>,
    /// Bytes of a state and a workspace.
    pub ram: Option<usize>,
}

/// What budgets are of.
const UNITS_OF: [&str; 3] = ["parameters", "bytes of flash", "bytes of RAM"];

/// How much of each a network takes.
type Costs = [usize; 3];

/// A network and what it takes of a budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priced {
    /// Its sizes.
    pub shape: Shape,
    /// How it is written.
    pub form: Form,
    costs: Costs,
}

/// What a budget is enough for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// The widest network that fits.
    pub widest: Priced,
    /// The next one, which doesn't; `None` if wider ones can't be trained.
    pub next: Option<Priced>,
}

/// The hidden sizes that are tried are multiples of this: others take the memory of the next one, for
/// their blocks are filled up with zeros.
pub fn step(precision: Precision) -> usize {
    match precision {
        Precision::I4 => NIBBLE_COLUMNS,
        Precision::I8 => COLUMNS,
        _ => UNITS,
    }
}

/// Reads an amount such as `64k` or `1.5M`, where k is `kilo`.
///
/// # Errors
/// If it is none.
pub fn amount(text: &str, kilo: u32) -> Result<usize, String> {
    let is_unit = |char: char| char.is_ascii_alphabetic();
    let (number, unit) = text.split_at(text.find(is_unit).unwrap_or(text.len()));
    let power = match unit {
        "" => Some(0),
        "k" | "K" => Some(1),
        "m" | "M" => Some(2),
        _ => None,
    };
    let number = number.parse::<f64>().ok().filter(|&number| number > 0.0);
    power
        .zip(number)
        .map(|(power, number)| (number * f64::from(kilo).powi(power)).round() as usize)
        .filter(|&amount| amount > 0)
        .ok_or_else(|| "an amount is a number such as 4096, 64k or 1.5M".to_owned())
}

impl Budget {
    /// What there is a limit of, and the limit.
    fn limits(&self) -> impl Iterator<Item = (usize, usize)> {
        let limits = [self.parameters, self.flash, self.ram].into_iter();
        let known = |(what, limit): (usize, Option<usize>)| Some((what, limit?));
        limits.enumerate().filter_map(known)
    }

    /// Whether nothing is limited.
    pub fn is_empty(&self) -> bool {
        self.limits().next().is_none()
    }

    /// Whether a network is within all limits.
    fn fits(&self, network: &Priced) -> bool {
        self.limits()
            .all(|(what, limit)| network.costs[what] <= limit)
    }

    /// The widest of the networks that a hidden size gives, in a form that it may be trained for.
    ///
    /// # Errors
    /// If none fits; names the smallest.
    pub fn widest(
        &self,
        shape_of: impl Fn(usize) -> Shape,
        alphabet: &Alphabet,
        training: &TrainingConfig,
    ) -> Result<Choice> {
        let precision = training.precision();
        let step = step(precision);
        let of_width = |steps: usize| self.best(shape_of(steps * step), alphabet, training);
        let smallest = of_width(1)?;
        if !self.fits(&smallest) {
            bail!(
                "no network fits {self}: the smallest, {smallest} as {precision}, takes {}",
                self.taken(&smallest)
            );
        }
        // All that fit are narrower than all that don't.
        let (mut fits, mut last) = (1, MAX_SIZE / step);
        while fits < last {
            let middle = fits + (last - fits).div_ceil(2);
            // What is no model file any more is too large as well.
            if of_width(middle).is_ok_and(|network| self.fits(&network)) {
                fits = middle;
            } else {
                last = middle - 1;
            }
        }
        let is_last = fits == MAX_SIZE / step;
        Ok(Choice {
            widest: of_width(fits)?,
            next: if is_last {
                None
            } else {
                of_width(fits + 1).ok()
            },
        })
    }

    /// What a network of this shape takes.
    ///
    /// # Errors
    /// If that is too much.
    pub fn check(
        &self,
        shape: Shape,
        alphabet: &Alphabet,
        training: &TrainingConfig,
    ) -> Result<Priced> {
        let network = self.best(shape, alphabet, training)?;
        ensure!(
            self.fits(&network),
            "{network} as {} takes {}, which is over the budget of {self}: without --hidden \
             the widest network is chosen that fits",
            network.form.precision,
            self.taken(&network)
        );
        Ok(network)
    }

    /// A network in the first of its forms that fits, or in the first.
    fn best(&self, shape: Shape, alphabet: &Alphabet, training: &TrainingConfig) -> Result<Priced> {
        let priced = Form::choices(training, shape, alphabet)?.into_iter();
        let priced = priced.map(|form| price(shape, alphabet, form));
        let priced = priced.collect::<Result<Vec<_>>>()?;
        let fits = priced.iter().position(|network| self.fits(network));
        Ok(priced[fits.unwrap_or(0)])
    }

    /// What a network takes of all that is limited.
    pub fn taken(&self, network: &Priced) -> String {
        list(self.limits().map(|(what, _)| (what, network.costs[what])))
    }

    /// What a network takes that is too much.
    pub fn excess(&self, network: &Priced) -> String {
        let over = |&(what, limit): &(usize, usize)| network.costs[what] > limit;
        let over = self.limits().filter(over);
        list(over.map(|(what, _)| (what, network.costs[what])))
    }
}

impl std::fmt::Display for Budget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&list(self.limits()))
    }
}

impl std::fmt::Display for Priced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} x {}", self.shape.num_layers, self.shape.hidden_size)
    }
}

/// Amounts with their units.
fn list(amounts: impl Iterator<Item = (usize, usize)>) -> String {
    let one = |(what, amount)| format!("{} {}", HumanCount(amount as u64), UNITS_OF[what]);
    amounts.map(one).collect::<Vec<_>>().join(" and ")
}

fn price(shape: Shape, alphabet: &Alphabet, form: Form) -> Result<Priced> {
    let needs = needs(shape, alphabet, form)?;
    Ok(Priced {
        shape,
        form,
        costs: [shape.parameter_count(), needs.flash, needs.ram],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_units_of_their_kind() {
        for (text, kilo, expected) in [
            ("4096", 1024, 4096),
            ("64k", 1024, 65_536),
            ("1.5M", 1024, 1_572_864),
            ("250K", 1000, 250_000),
            ("1M", 1000, 1_000_000),
        ] {
            assert_eq!(amount(text, kilo), Ok(expected), "{text}");
        }
        for text in [
            "", "k", "0", "-1", "1e9", "0.1", "64 k", "64kb", "inf", "NaN",
        ] {
            assert!(amount(text, 1000).is_err(), "{text}");
        }
    }
}
