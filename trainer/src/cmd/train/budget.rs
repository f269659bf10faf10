//! `--params-budget`, `--flash-budget`, `--ram-budget`: the largest network that fits.

use anyhow::Result;
use charlet_trainer::config::{Config, IntegerPrecision};
use charlet_trainer::data::corpus::Corpus;
use charlet_trainer::export::budget::{Budget, step};
use charlet_trainer::model::shape::Shape;

use super::Args;

impl Args {
    /// Whether a budget sets the hidden size.
    pub(super) fn chooses_width(&self) -> bool {
        self.model.hidden.is_none() && !self.budget().is_empty()
    }

    fn budget(&self) -> Budget {
        Budget {
            parameters: self.model.params_budget,
            flash: self.model.flash_budget,
            ram: self.model.ram_budget,
        }
    }

    /// Chooses the sizes that a budget leaves open; returns lines that explain the choice.
    pub(super) fn fit_budget(&self, config: &mut Config, corpus: &Corpus) -> Result<Vec<String>> {
        let budget = self.budget();
        if budget.is_empty() {
            return Ok(Vec::new());
        }
        let mut lines = vec![format!("at most {budget}")];
        let of_chip = budget.flash.is_some() || budget.ram.is_some();
        if of_chip && self.model.quantize.is_none() && config.training.quantize.is_none() {
            config.training.quantize = Some(IntegerPrecision::I8);
            lines.push(
                "trained for and exported as i8, which suits most chips; others: --quantize i4, f32"
                    .to_owned(),
            );
        }
        let precision = config.training.precision();
        let alphabet = &corpus.alphabet;
        if self.model.hidden.is_some() {
            let shape = Shape::new(alphabet.size(), &config.network);
            let taken = budget.check(shape, alphabet, precision)?;
            lines.push(format!("the network that was given takes {taken}"));
            return Ok(lines);
        }
        // A preset or a settings file has its own number of layers.
        if self.model.layers.is_none()
            && self.settings.preset.is_none()
            && self.settings.config.is_none()
        {
            config.network.num_layers = 1;
        }
        let network = config.network.clone();
        // The embedding is folded on the chip, and takes nothing there.
        let shrinks = budget.parameters.is_some() && self.model.embedding.is_none();
        let shape_of = |hidden_size: usize| {
            let most = if shrinks { hidden_size } else { usize::MAX };
            Shape {
                hidden_size,
                embedding_size: network.embedding_size.min(most),
                ..Shape::new(alphabet.size(), &network)
            }
        };
        let choice = budget.widest(shape_of, alphabet, precision)?;
        let Shape {
            hidden_size,
            embedding_size,
            num_layers,
            ..
        } = choice.widest.shape;
        config.network.hidden_size = hidden_size;
        config.network.embedding_size = embedding_size;
        let layers = if num_layers == 1 { "layer" } else { "layers" };
        lines.push(format!(
            "{num_layers} {layers}, as wide as fits in steps of {}: {}, with {}",
            step(precision),
            choice.widest,
            budget.taken(&choice.widest)
        ));
        lines.push(match choice.next {
            Some(next) => format!("{next} would have {}", budget.excess(&next)),
            None => "wider ones can't be trained".to_owned(),
        });
        config.check()?;
        Ok(lines)
    }
}
