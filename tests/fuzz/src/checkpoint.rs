use std::collections::HashMap;

use candle_core::Device;
use charlet_trainer::config::{Config, Mode};
use charlet_trainer::data::alphabet::Alphabet;
use charlet_trainer::model::network::Network;
use charlet_trainer::model::shape::Shape;
use charlet_trainer::train::checkpoint::{Checkpoint, Description};
use charlet_trainer::train::progress::{Epoch, Progress};
use charlet_trainer::util::rng::Streams;
use serde_json::Value;

use super::file::with_file;
use super::numbers;

/// Reads a checkpoint, and what it describes without its tensors.
pub fn check(bytes: &[u8]) {
    with_file(bytes, |path| {
        let described = Description::load(path);
        let Ok(checkpoint) = Checkpoint::load(path, &Device::Cpu) else {
            return;
        };
        assert_eq!(described.expect("a checkpoint"), checkpoint.description);
        let _ = checkpoint.network();
        checkpoint.to_bytes().expect("a checkpoint that was read");
    });
}

/// Changes a checkpoint: most often its description, whose length then stays right.
pub fn mutate(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    default: impl Fn(&mut [u8], usize, usize) -> usize,
) -> usize {
    let Some((mut header, tensors)) = apart(&data[..size]).filter(|_| !seed.is_multiple_of(8))
    else {
        return default(data, size, max_size);
    };
    let text = if seed % 8 > 1
        && let Some(Value::String(description)) = header.pointer_mut("/__metadata__/charlet")
    {
        description
    } else {
        // Its tensors' names, dimensions and places.
        &mut header.to_string()
    };
    let is_description = seed % 8 > 1;
    let mut changed = text.clone().into_bytes();
    let len = changed.len();
    changed.resize(len + 64, 0);
    let room = changed.len();
    let len = numbers::mutate(&mut changed, len, room, seed / 8, default_of(&default));
    changed.truncate(len);
    let Ok(changed) = String::from_utf8(changed) else {
        return default(data, size, max_size);
    };
    let header = if is_description {
        *text = changed;
        header.to_string()
    } else {
        changed
    };
    let file = together(&header, &tensors);
    match data.get_mut(..file.len()) {
        Some(to) if file.len() <= max_size => {
            to.copy_from_slice(&file);
            file.len()
        }
        _ => default(data, size, max_size),
    }
}

fn default_of(
    default: &impl Fn(&mut [u8], usize, usize) -> usize,
) -> impl Fn(&mut [u8], usize, usize) -> usize {
    move |data, size, max| default(data, size, max)
}

/// The header and what follows it.
fn apart(file: &[u8]) -> Option<(Value, Vec<u8>)> {
    let (len, rest) = file.split_first_chunk()?;
    let len = usize::try_from(u64::from_le_bytes(*len)).ok()?;
    let (header, tensors) = rest.split_at_checked(len)?;
    Some((serde_json::from_slice(header).ok()?, tensors.to_vec()))
}

fn together(header: &str, tensors: &[u8]) -> Vec<u8> {
    [
        &(header.len() as u64).to_le_bytes(),
        header.as_bytes(),
        tensors,
    ]
    .concat()
}

/// A checkpoint whose description is changed.
pub fn redescribed(file: &[u8], change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let (mut header, tensors) = apart(file).expect("a checkpoint");
    let Some(Value::String(text)) = header.pointer_mut("/__metadata__/charlet") else {
        panic!("no checkpoint of ours");
    };
    let mut description = serde_json::from_str(text).expect("a description");
    change(&mut description);
    *text = description.to_string();
    together(&header.to_string(), &tensors)
}

/// What to begin with.
pub fn seeds() -> Vec<Vec<u8>> {
    [Mode::Lines, Mode::Text].map(seed).to_vec()
}

fn seed(mode: Mode) -> Vec<u8> {
    let mut config = Config::defaults(mode);
    config.network.embedding_size = 1;
    config.network.hidden_size = 2;
    config.network.num_layers = 1;
    let alphabet = Alphabet::of(["ab\n"], mode).expect("an alphabet");
    let shape = Shape::new(alphabet.size(), &config.network);
    let mut streams = Streams::new(1);
    let network = Network::new(shape, &mut streams.weights, &Device::Cpu).expect("a network");
    let mut progress = Progress::new(streams);
    let epoch = Epoch {
        number: 1,
        loss: 2.5,
    };
    (progress.epoch, progress.steps) = (1, 40);
    (progress.smoothed, progress.validation_loss) = (Some(2.25), Some(2.5));
    (progress.best, progress.kept, progress.seconds) = (Some(epoch), vec![epoch], 3.5);
    let fingerprints = r#"{"data":"00","validation":null}"#;
    let checkpoint = Checkpoint {
        description: Description {
            config,
            alphabet,
            fingerprints: serde_json::from_str(fingerprints).expect("hashes"),
            progress,
        },
        tensors: network
            .tensors()
            .expect("tensors")
            .into_iter()
            .collect::<HashMap<_, _>>(),
    };
    checkpoint.to_bytes().expect("a checkpoint")
}
