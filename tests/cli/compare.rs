//! Runs side by side.

use std::fs;

use serde_json::Value;

use crate::support::place::{Place, lines};

const EPOCHS: [&str; 6] = ["--epochs", "3", "--embedding", "4", "--batch", "4"];

/// Three runs on the same data, one of them with another part held out.
fn runs() -> Place {
    let place = Place::new();
    let file = place.write("towns.txt", lines().repeat(3));
    let other = place.write("other.txt", "otto\npaula\n");
    for (run, options) in [
        ("small", &["--hidden", "4", "--val-split", "0.2"][..]),
        (
            "large",
            &["--hidden", "24", "--val-split", "0.2", "--lr", "0.02"],
        ),
        ("apart", &["--hidden", "4", "--val", &other]),
    ] {
        place.succeed(&[&["train", &file, "--out", run][..], &EPOCHS, options].concat());
    }
    place
}

/// The lowest held-out loss in a run's log.
fn best(place: &Place, run: &str) -> f64 {
    let log = fs::read_to_string(place.path(&format!("{run}/metrics.jsonl"))).unwrap();
    let loss = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["validation_nats_per_char"].as_f64().unwrap()
    };
    log.lines().map(loss).fold(f64::INFINITY, f64::min)
}

#[test]
fn runs_are_told_by_loss_with_what_differs() {
    let place = runs();
    let output = place.run(&["compare", "small", "large", "--json"]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let compared: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (first, second) = (&compared[0], &compared[1]);
    let (small, large) = (best(&place, "small"), best(&place, "large"));
    assert!(large < small);
    assert_eq!(
        (&first["run"], &second["run"]),
        (&"large".into(), &"small".into())
    );
    assert_eq!(
        (
            first["nats_per_char"].as_f64(),
            second["nats_per_char"].as_f64()
        ),
        (Some(large), Some(small))
    );
    let settings = first["settings"].as_object().unwrap();
    let names: Vec<&String> = settings.keys().collect();
    assert_eq!(names, ["network.hidden_size", "optimizer.learning_rate"]);
    assert_eq!(
        (&settings["network.hidden_size"], &first["epochs"]),
        (&"24".into(), &3.into())
    );
    let info = place.succeed(&["info", "large/towns.charlet", "--json"]);
    let info: Value = serde_json::from_str(&info).unwrap();
    assert_eq!(first["parameters"], info["parameters"]);
    let best = "large/best.safetensors";
    place.succeed(&["quantize", best, "--to", "i8", "-o", "i8.charlet"]);
    let bytes = fs::metadata(place.path("i8.charlet")).unwrap().len();
    assert_eq!(first["i8_bytes"], bytes);
    // A held-out line has as many bits as the runtime says of the whole, by their number.
    let per_line =
        first["bits_per_line"].as_f64().unwrap() / first["bits_per_char"].as_f64().unwrap();
    assert!((4.0..8.0).contains(&per_line), "{per_line}");
}

#[test]
fn the_table_is_sorted() {
    let place = runs();
    let printed = place.succeed(&["compare", "small", "large"]);
    let rows: Vec<&str> = printed.lines().collect();
    assert!(
        rows[0].starts_with("run ")
            && rows[1].starts_with("large ")
            && rows[2].starts_with("small ")
    );
    assert!(
        rows[1].contains("1 x 24") && rows[1].contains("network.hidden_size=24"),
        "{printed}"
    );
    assert!(
        rows[1].contains(&format!("{:.4}", best(&place, "large"))),
        "{printed}"
    );
    assert_eq!(rows.len() > 3, cfg!(feature = "plot"));
}

#[cfg(feature = "plot")]
#[test]
fn the_picture_has_every_run() {
    let place = runs();
    let printed = place.succeed(&["compare", "small", "large", "-o", "both.svg"]);
    assert!(printed.ends_with("curves: both.svg\n"), "{printed}");
    let svg = fs::read_to_string(place.path("both.svg")).unwrap();
    for run in ["small", "large"] {
        assert!(
            svg.contains(&format!("{run}: {:.3}", best(&place, run))),
            "{svg}"
        );
    }
    place.succeed(&["compare", "small", "large"]);
    let picture = fs::read(place.path("compare.png")).unwrap();
    let reader = png::Decoder::new(std::io::Cursor::new(picture))
        .read_info()
        .unwrap();
    assert_eq!((reader.info().width, reader.info().height), (1920, 1040));
}

#[test]
fn runs_that_hold_out_other_data_are_pointed_out() {
    let place = runs();
    let output = place.run(&["compare", "small", "large", "apart"]);
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("apart") && said.contains("don't compare"),
        "{said}"
    );
}

#[test]
fn what_is_no_run_is_skipped_and_named() {
    let place = runs();
    place.write("file", "");
    fs::create_dir(place.path("empty")).unwrap();
    fs::create_dir(place.path("half")).unwrap();
    fs::write(place.path("half/last.safetensors"), "half").unwrap();
    fs::write(place.path("small/config.toml"), b"\xff[[[").unwrap();
    let all = [
        "compare", "empty", "small", "file", "half", "large", "none", "--json",
    ];
    let output = place.run(&all);
    assert!(output.status.success());
    let compared: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(compared.as_array().unwrap().len(), 2);
    let said = String::from_utf8(output.stderr).unwrap();
    let skipped: Vec<&str> = said.lines().collect();
    assert_eq!(skipped.len(), 4, "{said}");
    for (line, name) in skipped
        .iter()
        .zip(["empty", "file", "half/last.safetensors", "none"])
    {
        assert!(
            line.starts_with(&format!("note: skipped: {name} ")),
            "{said}"
        );
    }
    let output = place.run(&["compare", "empty", "none"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.ends_with("name folders that charlet train wrote\n"),
        "{said}"
    );
}

#[test]
fn what_is_no_run_is_named() {
    let place = Place::new();
    fs::create_dir(place.path("empty")).unwrap();
    place.fail_with(
        &["compare", "empty"],
        &["empty holds no run", "charlet train"],
    );
    place.fail_with(&["compare", "none"], &["none holds no run"]);
    #[cfg(feature = "plot")]
    place.fail_with(
        &["compare", "empty", "-o", "x.gif"],
        &["x.gif", ".png or .svg"],
    );
    let file = place.write("towns.txt", lines());
    place.succeed(&[
        "train", &file, "--out", "run", "--epochs", "1", "--hidden", "4",
    ]);
    fs::write(place.path("run/metrics.jsonl"), "").unwrap();
    place.fail_with(&["compare", "run"], &["run has not completed an epoch"]);
    fs::write(place.path("run/last.safetensors"), "half").unwrap();
    place.fail_with(&["compare", "run"], &["run/last.safetensors"]);
    assert!(!place.path("compare.png").exists());
}
