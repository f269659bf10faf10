//! Networks as large as a budget allows: the exported file fits, and that of the next one doesn't.

use std::fs;

use charlet::Model;
use charlet::format::{Header, Input, Precision, WeightBits};
use charlet_trainer::config::{Config, IntegerPrecision, Mode};
use charlet_trainer::export::budget::{Budget, Priced};
use charlet_trainer::export::form::Form;
use charlet_trainer::export::model_file::model_file;
use charlet_trainer::model::shape::Shape;
use proptest::prelude::*;

use crate::support::place::{Place, lines};
use crate::support::{alphabet, network};

/// Whether a network's model, as it is exported, is within a budget.
fn fits(budget: &Budget, network_of: &Priced) -> bool {
    fits_as(budget, network_of, network_of.form)
}

fn fits_as(budget: &Budget, network_of: &Priced, form: Form) -> bool {
    let shape = network_of.shape;
    let file = model_file(&network(shape), &alphabet(shape.vocab_size), form).unwrap();
    let ram = Model::from_bytes(&file).unwrap().sizes().ram_bytes();
    budget.flash.is_none_or(|flash| file.len() <= flash)
        && budget.ram.is_none_or(|most| ram <= most)
        && budget
            .parameters
            .is_none_or(|parameters| shape.parameter_count() <= parameters)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_budget_is_filled_and_never_exceeded(
        vocab_size in 2usize..200,
        num_layers in 1usize..4,
        quantize in prop::option::of(prop::sample::select(vec![IntegerPrecision::I8, IntegerPrecision::I4])),
        small_head: bool,
        flash in prop::option::of(200usize..150_000),
        ram in prop::option::of(100usize..6_000),
        parameters in 500usize..50_000,
    ) {
        // Without any of them networks would be too large for a test.
        let parameters = (flash.is_none() && ram.is_none()).then_some(parameters);
        let budget = Budget { parameters, flash, ram };
        let shape_of = |hidden_size: usize| Shape {
            vocab_size,
            embedding_size: hidden_size.min(32),
            hidden_size,
            num_layers,
        };
        let mut training = Config::defaults(Mode::Lines).training;
        (training.quantize, training.small_head) = (quantize, small_head);
        let precision = training.precision();
        match budget.widest(shape_of, &alphabet(vocab_size), &training) {
            Ok(choice) => {
                prop_assert!(fits(&budget, &choice.widest));
                let next = choice.next.unwrap();
                prop_assert!(!fits(&budget, &next));
                if quantize.is_some() {
                    prop_assert!(!fits_as(&budget, &next, next.form.with_other_input()));
                }
                let width = choice.widest.shape.hidden_size;
                prop_assert_eq!(next.shape.hidden_size - width, if precision == Precision::I4 { 8 } else { 4 });
            }
            Err(error) => {
                let smallest = if precision == Precision::I4 { 8 } else { 4 };
                let all = Budget { parameters: None, flash: None, ram: None };
                let one = all.widest(|_| shape_of(smallest), &alphabet(vocab_size), &training);
                prop_assert!(!fits(&budget, &one.unwrap().widest));
                let named = format!("{num_layers} x {smallest} as {precision}");
                prop_assert!(error.to_string().contains(&named), "{}", error);
            }
        }
    }
}

#[test]
fn a_run_stays_within_its_budget_and_can_be_repeated() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = ["train", &file, "--epochs", "1", "--sample-every", "1"];
    let budget = ["--flash-budget", "8k", "--ram-budget", "1k", "--out", "run"];
    let printed = place.succeed(&[&train[..], &budget].concat());
    assert!(
        printed.contains("budget    at most 8,192 bytes of flash and 1,024 bytes of RAM")
            && printed.contains("as i8"),
        "{printed}"
    );
    let size = fs::metadata(place.path("run/data.charlet")).unwrap().len();
    assert!((7000..=8192).contains(&size), "{size}");
    let chosen = Config::from_file(&place.path("run/config.toml"), None).unwrap();
    assert_eq!(chosen.training.quantize, Some(IntegerPrecision::I8));
    assert_eq!(chosen.network.num_layers, 1);
    place.succeed(&["train", "--config", "run/config.toml", "--out", "again"]);
    let model = |run: &str| fs::read(place.path(run).join("data.charlet")).unwrap();
    assert_eq!(model("run"), model("again"));
    place.succeed(&["train", "--resume", "run", "--epochs", "2"]);
    let resumed = Config::from_file(&place.path("run/config.toml"), None).unwrap();
    assert_eq!(resumed.network, chosen.network);
}

#[test]
fn options_are_kept_and_the_budget_takes_the_rest() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let shape = |options: &[&str]| {
        let train = ["train", &file, "--epochs", "1", "--out", "run", "--force"];
        place.succeed(&[&train[..], options].concat());
        let config = Config::from_file(&place.path("run/config.toml"), None).unwrap();
        let network = config.network;
        let sizes = (
            network.num_layers,
            network.hidden_size,
            network.embedding_size,
        );
        (sizes, config.training.quantize)
    };
    // 12 tokens: 12 E + 4 H (E + H + 1) + 12 H + 12 parameters, and E = H below 32.
    assert_eq!(shape(&["--params-budget", "2.508k"]), ((1, 16, 16), None));
    assert_eq!(shape(&["--params-budget", "2507"]), ((1, 12, 12), None));
    let two = shape(&["--params-budget", "5k", "--layers", "2", "--embedding", "3"]);
    assert_eq!((two.0.0, two.0.2), (2, 3));
    let float = shape(&["--flash-budget", "16k", "--quantize", "f32"]);
    assert_eq!(float.1, None);
    // A size that is given is only checked.
    let given = shape(&["--flash-budget", "8k", "--hidden", "7", "--layers", "2"]);
    assert_eq!((given.0.0, given.0.1), (2, 7));
}

#[test]
fn what_no_network_fits_is_refused_before_a_folder_is_made() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    for (options, words) in [
        (
            &["--flash-budget", "300", "--layers", "2"][..],
            &["300 bytes of flash", "the smallest, 2 x 4 as i8, takes"][..],
        ),
        (
            &["--params-budget", "20"],
            &["20 parameters", "the smallest, 1 x 4 as f32"],
        ),
        (
            &["--flash-budget", "1k", "--hidden", "64"],
            &[
                "1 x 64 as i8 takes",
                "1,024 bytes of flash",
                "without --hidden",
            ],
        ),
    ] {
        let mut train = vec!["train", &file, "--layers", "1"];
        train.extend(options);
        place.fail_with(&train, words);
    }
    for (option, value) in [
        ("--flash-budget", "64q"),
        ("--params-budget", "0"),
        ("--ram-budget", "-1"),
    ] {
        let refused = place.run(&["train", &file, &format!("{option}={value}")]);
        assert_eq!(refused.status.code(), Some(2));
        let message = String::from_utf8(refused.stderr).unwrap();
        assert!(
            message.contains(option) && message.contains("64k or 1.5M"),
            "{message}"
        );
    }
    assert_eq!(place.files("."), ["data.txt"]);
}

#[test]
fn an_embedding_is_taken_where_it_saves_much_for_few_operations() {
    let auto = |vocab_size, hidden_size, precision| {
        let shape = Shape {
            vocab_size,
            embedding_size: 32,
            hidden_size,
            num_layers: 1,
        };
        let form = Form::chosen(None, false, shape, &alphabet(vocab_size), precision);
        form.unwrap().input
    };
    // The bundled names: an embedding would take more than a fifth more operations.
    assert_eq!(auto(56, 128, Precision::I8), Input::Table);
    assert_eq!(auto(56, 128, Precision::I4), Input::Table);
    assert_eq!(auto(112, 256, Precision::I8), Input::Embedding);
    assert_eq!(auto(112, 256, Precision::I4), Input::Embedding);
    assert_eq!(auto(112, 256, Precision::F32), Input::Table);
    // A small table, and a small share of a large file.
    assert_eq!(auto(15, 256, Precision::I4), Input::Table);
    assert_eq!(auto(40, 1024, Precision::I8), Input::Table);
}

#[test]
fn the_input_and_the_head_are_what_was_asked_for() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = ["train", &file, "--epochs", "1", "--hidden", "12"];
    let asked = ["--quantize", "i4", "--input", "embedding", "--small-head"];
    let printed = place.succeed(&[&train[..], &asked, &["--out", "run"]].concat());
    assert!(printed.contains("\ninput     embedding: "), "{printed}");
    assert!(printed.contains("; head of 4 bits\n"), "{printed}");
    let header_of = |model: &str, check: &dyn Fn(Header<'_>)| {
        let bytes = fs::read(place.path(model)).unwrap();
        check(Model::from_bytes(&bytes).unwrap().header());
    };
    header_of("run/data.charlet", &|header| {
        assert_eq!(header.input, Input::Embedding);
        assert_eq!(header.head_bits, WeightBits::Four);
    });
    let info = place.succeed(&["info", "run/data.charlet"]);
    assert!(info.contains("i4, the head too"), "{info}");
    assert!(info.contains("not folded into a table"), "{info}");
    place.succeed(&["generate", "run/data.charlet", "-n", "2"]);
    // What it was trained for, and what it wasn't.
    let quantize = [
        "quantize",
        "run/best.safetensors",
        "-o",
        "other.charlet",
        "--to",
    ];
    place.succeed(&[&quantize[..], &["i4"]].concat());
    let model = |path: &str| fs::read(place.path(path)).unwrap();
    assert_eq!(model("run/data.charlet"), model("other.charlet"));
    place.succeed(&[&quantize[..], &["i8", "--input", "table"]].concat());
    header_of("other.charlet", &|header| assert_eq!(header.version(), 1));
    // A resumed run goes on as it began.
    place.succeed(&["train", "--resume", "run", "--epochs", "2"]);
    header_of("run/data.charlet", &|header| {
        assert_eq!(header.input, Input::Embedding);
    });
    let words = ["a head of 4 bits is for models in i4"];
    place.fail_with(
        &[&train[..], &["--small-head", "--out", "no"]].concat(),
        &words,
    );
    place.fail_with(&[&quantize[..], &["i8", "--small-head"]].concat(), &words);
}
