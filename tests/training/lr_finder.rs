//! A learning rate that is looked for: it lies where the loss falls, and nothing is trained.

use std::fs;
#[cfg(unix)]
use std::io::{BufRead, BufReader, Read};
#[cfg(unix)]
use std::process::{Command, Stdio};

use charlet_trainer::train::lr_finder::LrFinder;

use crate::support::place::{Place, SHORT, lines};

/// A loss that falls from 3 to 2 around 1e-3 and explodes beyond 0.1, with noise of that size.
fn losses(noise: f64) -> Vec<(f64, f64)> {
    let loss = |step: u32| {
        let power = -6.0 + f64::from(step) / 30.0;
        let fallen = 1.0 / (1.0 + (-4.0 * (power + 3.0)).exp());
        let exploded = (4.0 * (power + 1.0)).exp();
        // From -1 to 1, in no order.
        let random = f64::from(step.wrapping_mul(2_654_435_761)) / f64::from(u32::MAX / 2) - 1.0;
        (10f64.powf(power), 3.0 - fallen + exploded + noise * random)
    };
    (0..180).map(loss).collect()
}

#[test]
fn the_suggestion_lies_where_the_loss_falls() {
    for noise in [0.0, 0.1] {
        let suggestion = LrFinder::of(&losses(noise)).suggestion().unwrap();
        assert!(
            (4e-4..2.5e-3).contains(&suggestion.steepest),
            "{suggestion:?}"
        );
        assert!((3e-3..3e-2).contains(&suggestion.lowest), "{suggestion:?}");
        assert!((1e-3..1e-2).contains(&suggestion.rate), "{suggestion:?}");
    }
}

#[test]
fn where_the_loss_never_falls_nothing_is_suggested() {
    let rising: Vec<(f64, f64)> = (0..99)
        .map(|step| (f64::from(step), f64::from(step)))
        .collect();
    for losses in [&rising[..], &rising[..1], &[]] {
        let error = LrFinder::of(losses).suggestion().unwrap_err().to_string();
        assert!(error.contains("falls at no learning rate"), "{error}");
    }
}

#[test]
fn a_search_leaves_a_table_and_a_plot_and_no_model() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    let search = |out: &str, options: &[&str]| {
        let search = ["train", &file, "--find-lr", "--hidden", "16", "--out", out];
        place.succeed(&[&search[..], options].concat())
    };
    let printed = search("one", &[]);
    let [suggested] = printed
        .lines()
        .filter_map(|line| line.strip_prefix("suggests  --lr "))
        .collect::<Vec<_>>()[..]
    else {
        panic!("{printed}");
    };
    let rate: f64 = suggested.split(':').next().unwrap().parse().unwrap();
    assert!((1e-4..1.0).contains(&rate), "{printed}");
    assert!(
        !printed.contains('\x1b') && !printed.contains('\r'),
        "{printed:?}"
    );
    assert!(place.path("one/find-lr.csv").exists());
    #[cfg(feature = "plot")]
    let picture = fs::read(place.path("one/find-lr.png")).unwrap();
    #[cfg(feature = "plot")]
    assert!(picture.starts_with(b"\x89PNG\r\n\x1a\n"));
    let csv = |out: &str| fs::read_to_string(place.path(out).join("find-lr.csv")).unwrap();
    let table = csv("one");
    assert!(
        table.starts_with("learning_rate,nats_per_char,smoothed\n1e-6,"),
        "{table}"
    );
    assert!(table.lines().count() > 100);
    // A run in the folder stays as it is.
    let train = ["train", &file, "--out", "two"];
    place.succeed(&[&train[..], &SHORT].concat());
    let model = fs::read(place.path("two/data.charlet")).unwrap();
    search("two", &[]);
    assert_eq!(fs::read(place.path("two/data.charlet")).unwrap(), model);
    assert_eq!(csv("two"), table);
    search("three", &["--seed", "2"]);
    assert_ne!(csv("three"), table);
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_a_search_without_a_trace() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let search = [
        "train",
        &file,
        "--find-lr",
        "--hidden",
        "1024",
        "--lr",
        "1e-30",
    ];
    let mut child = place
        .command(&search)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    stdout.read_line(&mut first).unwrap();
    assert!(first.starts_with("find-lr   up to"), "{first}");
    Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    let mut rest = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(rest, "stopped   nothing was written\n");
    assert_eq!(place.files("."), ["data.txt"]);
}
