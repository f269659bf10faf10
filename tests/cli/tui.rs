//! The dashboard in a pseudo-terminal: what somebody sees there, and what the keys do.

use candle_core::Device;
use charlet_trainer::train::checkpoint::Checkpoint;

use crate::support::place::{Place, lines};
use crate::support::terminal::Terminal;

/// Of most terminals when they open: rows, columns.
const SIZE: [u16; 2] = [24, 80];

#[test]
fn a_training_is_watched_sampled_saved_and_stopped() {
    let place = Place::new();
    // An epoch takes a second or more: what is logged stays to be seen.
    let file = place.write("data.txt", lines().repeat(8000));
    let train = [
        "train",
        &file,
        "--hidden",
        "8",
        "--epochs",
        "100000",
        "--sample-every",
        "100000",
        "--out",
        "run",
        "--tui",
    ];
    let mut terminal = Terminal::run(&place, SIZE, &train);
    terminal.wait_for(&["data  epoch", "left", "training ", "in epoch "]);
    terminal.wait_for(&[
        "held out ",
        "nats/char",
        " epochs",
        "chars/s",
        "of 100000",
        "none yet",
    ]);
    assert!(terminal.is_full_screen());
    terminal.press("s");
    terminal.wait_for(&["samples after step", " 0.2 ", " 0.5 ", " 1.0 ", " 1.2 "]);
    terminal.resize(3, 11);
    terminal.wait_for(&["data"]);
    terminal.resize(50, 160);
    // crossterm leaves a key alone that comes together with a new size, until the next one.
    terminal.wait_for(&["figures", "save and stop"]);
    terminal.press("w");
    terminal.wait_for(&["saved run/last.safetensors", "samples after step"]);
    let saved = || Checkpoint::load(&place.path("run/last.safetensors"), &Device::Cpu).unwrap();
    let before = saved().description.progress.steps;
    assert!(terminal.is_full_screen());
    terminal.press("q");
    let (code, screen) = terminal.end();
    assert_eq!(code, 130);
    assert!(
        screen.contains("stopped in epoch") && screen.contains("train --resume run"),
        "{screen}"
    );
    assert!(saved().description.progress.steps >= before && before > 0);
    // Its curves are there again when it goes on; Ctrl-C is a key as well.
    let mut terminal = Terminal::run(&place, SIZE, &["train", "--resume", "run", "--tui"]);
    terminal.wait_for(&["in epoch ", "goes on   after"]);
    terminal.press("\x03");
    assert_eq!(terminal.end().0, 130);
}

#[test]
fn a_closed_window_saves_and_stops() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    let endless = ["--hidden", "8", "--epochs", "100000", "--out", "run"];
    let terminal = Terminal::run(
        &place,
        SIZE,
        &[&["train", &file, "--tui"], &endless[..]].concat(),
    );
    terminal.wait_for(&["training 1."]);
    assert_eq!(terminal.close(), 130);
    let last = Checkpoint::load(&place.path("run/last.safetensors"), &Device::Cpu).unwrap();
    assert!(last.description.progress.steps > 0);
}

#[test]
fn the_screen_is_given_back_at_the_end_and_after_an_error() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    let train = ["train", &file, "--hidden", "8", "--epochs", "3", "--tui"];
    let terminal = Terminal::run(&place, SIZE, &train);
    let (code, screen) = terminal.end();
    assert_eq!(code, 0);
    for part in [
        "epoch   3/3",
        "trained for",
        "runtime   charlet-out/data/data.charlet: held out",
        "at temperature 0.8, ",
        "generate charlet-out/data/data.charlet",
    ] {
        assert!(screen.contains(part), "{part:?} is missing in {screen}");
    }
    let too_fast = ["--lr", "1e38", "--warmup", "0", "--force"];
    let terminal = Terminal::run(&place, SIZE, &[&train[..], &too_fast].concat());
    let (code, screen) = terminal.end();
    assert_eq!(code, 1);
    assert!(
        screen.contains("error: ") && screen.contains("smaller --lr"),
        "{screen}"
    );
}

#[test]
fn a_pipe_is_no_place_for_it() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.fail_with(&["train", &file, "--tui"], &["--tui", "terminal", "pipe"]);
    assert_eq!(place.files("."), ["data.txt"]);
}
