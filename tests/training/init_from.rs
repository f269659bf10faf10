//! Networks that start from the weights of another, which knows other characters.

use std::collections::HashMap;

use candle_core::{Device, Tensor};
use charlet_trainer::train::checkpoint::Checkpoint;

use crate::support::place::{Place, SHORT, lines};

/// The rows of a parameter by token, as plain numbers.
fn rows(checkpoint: &Checkpoint, name: &str) -> Vec<Vec<f32>> {
    let tensor: &Tensor = &checkpoint.tensors[name];
    let rows = tensor.dim(0).unwrap();
    tensor.reshape((rows, ())).unwrap().to_vec2().unwrap()
}

fn load(place: &Place, path: &str) -> Checkpoint {
    Checkpoint::load(&place.path(path), &Device::Cpu).unwrap()
}

/// Tokens by their characters; the mark is the last.
fn tokens(checkpoint: &Checkpoint) -> HashMap<char, usize> {
    let chars = checkpoint.description.alphabet.chars().chars();
    chars.chain(['\0']).zip(0..).collect()
}

#[test]
fn shared_characters_keep_their_rows_and_the_network_learns_on() {
    let place = Place::new();
    let old = place.write("old.txt", lines().repeat(10));
    let new = lines().replace("berta", "Ada").replace("carla", "müll");
    let new = place.write("new.txt", new.repeat(10));
    place.succeed(
        &[
            &["train", &old, "--out", "old"][..],
            &SHORT,
            &["--epochs", "20"],
        ]
        .concat(),
    );
    let from = "old/best.safetensors";
    let train = ["train", &new, "--init-from", from, "--lr", "1e-30", "--out"];
    let printed = place.succeed(&[&train[..], &["still"], &SHORT].concat());
    assert!(
        printed.contains("9 of 11 tokens known; new: 'A' 'ü'; gone: 'b' 'c' 't'"),
        "{printed}"
    );

    let (old, new) = (load(&place, from), load(&place, "still/last.safetensors"));
    let (old_tokens, new_tokens) = (tokens(&old), tokens(&new));
    for name in ["embedding.weight", "head.weight", "head.bias"] {
        let (old_rows, new_rows) = (rows(&old, name), rows(&new, name));
        for (char, &token) in &new_tokens {
            match old_tokens.get(char) {
                Some(&known) => assert_eq!(new_rows[token], old_rows[known], "{name} {char:?}"),
                None => assert!(!old_rows.contains(&new_rows[token]), "{name} {char:?}"),
            }
        }
    }
    for name in ["lstm.0.weight_ih", "lstm.0.weight_hh", "lstm.0.bias"] {
        assert_eq!(rows(&old, name), rows(&new, name), "{name}");
    }

    // What it knows helps: one epoch from these weights is better than one from random ones.
    let loss = |out: &str, options: &[&str]| {
        place.succeed(&[&["train", "new.txt", "--out", out][..], &SHORT, options].concat());
        let last = load(&place, &format!("{out}/last.safetensors"));
        last.description.progress.validation_loss.unwrap()
    };
    let (known, fresh) = (loss("known", &["--init-from", from]), loss("fresh", &[]));
    assert!(known < fresh - 0.2, "{known} {fresh}");
}

#[test]
fn a_network_of_another_size_is_refused() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.succeed(&[&["train", &file, "--out", "old"][..], &SHORT].concat());
    let from = ["train", &file, "--init-from", "old/best.safetensors"];
    let words = ["old/best.safetensors", "--hidden 8", "--hidden 9"];
    let other = ["--embedding", "4", "--hidden", "9", "--out", "other"];
    place.fail_with(&[&from[..], &other].concat(), &words);
    let none = ["train", &file, "--init-from", "none.safetensors"];
    place.fail_with(&none, &["none.safetensors", "No such file"]);
}
