//! `--params-budget`, `--flash-budget`, `--ram-budget`: the largest network that fits.

use anyhow::{Result, ensure};
use charlet::format::{Input, Precision};
use charlet_trainer::config::{Config, InputKind, IntegerPrecision};
use charlet_trainer::data::corpus::Corpus;
use charlet_trainer::export::budget::{Budget, step};
use charlet_trainer::export::form::Form;
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

    /// Chooses what the first layer of a new integer model has.
    fn choose_input(&self, config: &mut Config, corpus: &Corpus) -> Result<()> {
        if self.output.resume.is_some() {
            return Ok(());
        }
        let alphabet = &corpus.alphabet;
        let shape = Shape::new(alphabet.size(), &config.network);
        let forms = Form::choices(&config.training, shape, alphabet)?;
        keep_input(config, forms[0])
    }

    /// Chooses the sizes that a budget leaves open; returns lines that explain the choice.
    pub(super) fn fit_budget(&self, config: &mut Config, corpus: &Corpus) -> Result<Vec<String>> {
        let budget = self.budget();
        if budget.is_empty() {
            self.choose_input(config, corpus)?;
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
        let training = config.training.clone();
        let precision = training.precision();
        let alphabet = &corpus.alphabet;
        if self.model.hidden.is_some() {
            let shape = Shape::new(alphabet.size(), &config.network);
            let given = budget.check(shape, alphabet, &training)?;
            lines.push(format!(
                "the network that was given takes {}",
                budget.taken(&given)
            ));
            keep_input(config, given.form)?;
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
        // On the chip the embedding is folded, or small.
        let shrinks = budget.parameters.is_some() && self.model.embedding.is_none();
        let shape_of = |hidden_size: usize| {
            let most = if shrinks { hidden_size } else { usize::MAX };
            Shape {
                hidden_size,
                embedding_size: network.embedding_size.min(most),
                ..Shape::new(alphabet.size(), &network)
            }
        };
        let choice = budget.widest(shape_of, alphabet, &training)?;
        let Shape {
            hidden_size,
            embedding_size,
            num_layers,
            ..
        } = choice.widest.shape;
        config.network.hidden_size = hidden_size;
        config.network.embedding_size = embedding_size;
        keep_input(config, choice.widest.form)?;
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

/// Keeps in the settings what the weights are trained for. A table is what they have anyway.
fn keep_input(config: &mut Config, form: Form) -> Result<()> {
    let training = &mut config.training;
    ensure!(
        !training.small_head || training.precision() == Precision::I4,
        "a head of 4 bits is for models in i4: add --quantize i4, or leave out --small-head"
    );
    if form.input == Input::Embedding {
        training.input = Some(InputKind::Embedding);
    }
    Ok(())
}
