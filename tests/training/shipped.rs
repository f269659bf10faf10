//! The models and data that are shipped.

use std::fs;

use charlet::Model;
use charlet_trainer::config::Config;
use charlet_trainer::config::preset::Preset;
use charlet_trainer::data::corpus::{BUNDLED_NAMES, Corpus, bigram_loss};
use charlet_trainer::data::source::Source;
use charlet_trainer::inference::evaluation::evaluate;
use charlet_trainer::inference::novelty::novelty;
use charlet_trainer::util::rng::Streams;
use charlet_trainer::util::stop::never;
use sha2::{Digest, Sha256};

use crate::support::place::Place;
use crate::support::tolerance::{CARD, QUANTIZATION, QUANTIZATION_I4};
use crate::support::{hex, repository};

/// The value of a row of a card's table.
fn card_value(card: &str, key: &str) -> String {
    let row = card
        .lines()
        .find_map(|line| line.strip_prefix(&format!("| {key} | ")));
    let value = row.and_then(|row| row.strip_suffix(" |"));
    value
        .unwrap_or_else(|| panic!("the card has no row {key:?}"))
        .replace(['`', ','], "")
}

#[test]
fn the_names_are_a_sorted_list_of_plain_names() {
    let names: Vec<&str> = BUNDLED_NAMES.lines().collect();
    assert!(names.len() >= 3000, "{} names", names.len());
    assert!(
        names.is_sorted_by(|a, b| a < b),
        "sorted, without duplicates"
    );
    let is_plain =
        |name: &&str| name.len() > 1 && name.bytes().all(|byte| byte.is_ascii_lowercase());
    assert_eq!(names.iter().find(|name| !is_plain(name)), None);
    assert!(BUNDLED_NAMES.ends_with('\n'));
}

/// Hash, size and held-out loss of the shipped models are those of their card, and they beat the
/// baseline.
#[test]
fn the_names_models_are_what_their_card_says() {
    let config = Config::from_file(&repository("models/names/train.toml"), None).unwrap();
    let mut split = Streams::new(config.training.seed).split;
    let corpus = Corpus::load(&config.data, config.training.window, &mut split).unwrap();
    let held_out = Source {
        text: corpus.validation_text.clone(),
        notes: Vec::new(),
    };
    let mut losses = Vec::new();
    let models = [
        ("names", "names"),
        ("names", "names-i8"),
        ("names", "names-i4"),
        ("names-tiny", "names-tiny"),
    ];
    for (folder, name) in models {
        let folder = repository("models").join(folder);
        let card = fs::read_to_string(folder.join("README.md")).unwrap();
        let bytes = fs::read(folder.join(format!("{name}.charlet"))).unwrap();
        let value = |key: &str| card_value(&card, &format!("{name}: {key}"));
        assert_eq!(hex(&Sha256::digest(&bytes)), value("sha256"));
        assert_eq!(format!("{} bytes", bytes.len()), value("size"));
        let model = Model::from_bytes(&bytes).unwrap();
        let loss = evaluate(&model, &held_out).unwrap().nats_per_char();
        let stated = value("held-out loss");
        let stated = stated.strip_suffix(" nats/char").unwrap().parse().unwrap();
        CARD.check(&format!("held-out loss of {name}"), loss, stated);
        assert!(loss < bigram_loss(&corpus));
        let novelty = novelty(&bytes, &corpus, &never).unwrap();
        assert_eq!(novelty.to_string().replace(',', ""), value("new"));
        losses.push(loss);
    }
    QUANTIZATION.check("loss in i8", losses[1], losses[0]);
    QUANTIZATION_I4.check("loss in i4", losses[2], losses[0]);
}

/// What a model says is the same everywhere, so that its card can show it.
#[test]
fn a_card_shows_what_its_model_says() {
    let place = Place::new();
    for (name, options) in [
        ("names-tiny", "-n 8 --temperature 0.8 --seed 1"),
        (
            "shakespeare-256k",
            "--prompt ROMEO: --length 400 --temperature 0.7 --seed 1",
        ),
    ] {
        let file = repository(&format!("models/{name}/{name}.charlet"));
        let command = ["generate", file.to_str().unwrap()];
        let options: Vec<&str> = options.split(' ').collect();
        let said = place.succeed(&[&command, &options[..]].concat());
        let card = fs::read_to_string(repository(&format!("models/{name}/README.md"))).unwrap();
        let lines: Vec<&str> = card.lines().map(str::trim).collect();
        let shown = lines.join("\n");
        assert!(shown.contains(&options.join(" ")), "{name}");
        assert!(shown.contains(said.trim_end()), "{name} says\n{said}");
    }
}

#[test]
fn the_shakespeare_model_is_what_its_card_says() {
    let folder = repository("models/shakespeare-256k");
    let card = fs::read_to_string(folder.join("README.md")).unwrap();
    let bytes = fs::read(folder.join("shakespeare-256k.charlet")).unwrap();
    assert_eq!(hex(&Sha256::digest(&bytes)), card_value(&card, "sha256"));
    assert_eq!(format!("{} bytes", bytes.len()), card_value(&card, "size"));
    let trained = Preset::Shakespeare256k.config(None).unwrap();
    let header = Model::from_bytes(&bytes).unwrap().header();
    assert_eq!(usize::from(header.hidden_size), trained.network.hidden_size);
    assert_eq!(usize::from(header.num_layers), trained.network.num_layers);
    assert_eq!(header.precision, trained.training.precision());
}
