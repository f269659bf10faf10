//! Two processes and one folder: the second is refused, and a killed one is in nobody's way.
#![cfg(unix)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use charlet_trainer::util::lock::Lock;

use crate::support::place::{Place, SHORT, lines};

/// A training that doesn't end by itself, ended with the test.
struct Endless(Child);

impl Endless {
    /// Starts it, and waits until it has learnt something.
    fn start(place: &Place, arguments: &[&str]) -> Self {
        let mut command = place.command(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let running = Self(child);
        // The pipe is closed then, which stops no training.
        let mut printed = stdout.lines().map(Result::unwrap);
        assert!(printed.any(|line| line.starts_with("epoch")));
        running
    }
}

impl Drop for Endless {
    /// As `kill -9`.
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn a_second_process_is_refused_until_the_first_is_gone() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = [
        "train", &file, "--out", "run", "--hidden", "8", "--epochs", "1000000",
    ];
    let refused = || {
        for options in [
            &["train", &file, "--out", "run"][..],
            &["train", &file, "--out", "run", "--force"],
            &["train", "--resume", "run"],
        ] {
            place.fail_with(options, &["another charlet is training in run", "--out"]);
        }
    };
    let running = Endless::start(&place, &train);
    refused();
    // Elsewhere there is no lock.
    place.succeed(&[&["train", &file, "--out", "other"][..], &SHORT].concat());
    drop(running);
    let running = Endless::start(&place, &["train", "--resume", "run"]);
    refused();
    drop(running);
    place.succeed(&[&train[..], &SHORT, &["--force"]].concat());
    assert!(place.path("run").join(Lock::FILE).exists());
}

#[test]
fn nothing_is_left_where_there_is_no_run_to_go_on_with() {
    let place = Place::new();
    fs::create_dir(place.path("empty")).unwrap();
    place.fail_with(&["train", "--resume", "empty"], &["without --resume"]);
    assert_eq!(fs::read_dir(place.path("empty")).unwrap().count(), 0);
}
