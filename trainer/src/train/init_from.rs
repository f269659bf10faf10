//! `--init-from`: initializes a network from a checkpoint with another alphabet.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use candle_core::{Device, Tensor};

use super::checkpoint::Checkpoint;
use crate::data::alphabet::Alphabet;
use crate::model::network::Network;
use crate::model::shape::{Parameter, Shape};

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    End,
    Unknown,
    Char(char),
}

/// The tokens of an alphabet, by what they stand for.
type Tokens = BTreeMap<Meaning, usize>;

/// Gives a new network the weights of a checkpoint: all of the layers', and the embedding and the
/// head's row of each character and mark that both know. Returns a line that lists them.
///
/// # Errors
/// If the networks differ in more than their characters.
pub fn load_matching(network: &Network, alphabet: &Alphabet, from: &Checkpoint) -> Result<String> {
    let old_network = from.network()?;
    check(network.shape(), old_network.shape())?;
    let (new, old) = (tokens(alphabet), tokens(&from.description.alphabet));
    let mut weights: Vec<f32> = network.parameters().to_vec1()?;
    let old_weights: Vec<f32> = old_network.parameters().to_vec1()?;
    let (mut to_rest, mut from_rest) = (&mut weights[..], &old_weights[..]);
    let parameters = network.shape().parameters();
    for (to, from) in parameters.iter().zip(old_network.shape().parameters()) {
        let (values, rest) = to_rest.split_at_mut(to.dims.iter().product());
        let (old_values, old_rest) = from_rest.split_at(from.dims.iter().product());
        if has_row_per_token(to) {
            let width = to.dims.get(1).copied().unwrap_or(1);
            for (meaning, &row) in &new {
                if let Some(&old_row) = old.get(meaning) {
                    values[row * width..][..width]
                        .copy_from_slice(&old_values[old_row * width..][..width]);
                }
            }
        } else {
            values.copy_from_slice(old_values);
        }
        (to_rest, from_rest) = (rest, old_rest);
    }
    let count = weights.len();
    let weights = Tensor::from_vec(weights, count, &Device::Cpu)?;
    let own = network.parameters();
    own.set(&weights.to_device(own.device())?)?;
    Ok(comparison(&new, &old))
}

fn has_row_per_token(parameter: &Parameter) -> bool {
    parameter.is_embedding() || parameter.name.starts_with("head.")
}

/// Refuses a network of other sizes.
fn check(new: Shape, old: Shape) -> Result<()> {
    let same_characters = Shape {
        vocab_size: new.vocab_size,
        ..old
    };
    if new != same_characters {
        bail!(
            "its network has --layers {} --hidden {} --embedding {}, and the new one --layers {} \
             --hidden {} --embedding {}: they must be the same",
            old.num_layers,
            old.hidden_size,
            old.embedding_size,
            new.num_layers,
            new.hidden_size,
            new.embedding_size
        );
    }
    Ok(())
}

fn tokens(alphabet: &Alphabet) -> Tokens {
    let chars = alphabet.chars().chars().map(Meaning::Char).zip(0..);
    let end = alphabet.end().map(|end| (Meaning::End, end.into()));
    let unknown = alphabet.unknown();
    let unknown = unknown.map(|unknown| (Meaning::Unknown, unknown.into()));
    chars.chain(end).chain(unknown).collect()
}

/// Which characters are known, new and gone.
fn comparison(new: &Tokens, old: &Tokens) -> String {
    let list = |of: &Tokens, without: &Tokens| {
        let missing = of.keys().filter(|meaning| !without.contains_key(meaning));
        let names = missing.map(|meaning| match meaning {
            Meaning::Char(char) => format!("{char:?}"),
            Meaning::End => "the end mark".to_owned(),
            Meaning::Unknown => "the mark for others".to_owned(),
        });
        let names: Vec<String> = names.collect();
        if names.is_empty() {
            "none".to_owned()
        } else {
            names.join(" ")
        }
    };
    let shared = new
        .keys()
        .filter(|meaning| old.contains_key(meaning))
        .count();
    format!(
        "{shared} of {} tokens known; new: {}; gone: {}",
        new.len(),
        list(new, old),
        list(old, new)
    )
}
