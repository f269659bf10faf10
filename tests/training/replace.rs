//! `train --force`: the old run goes when the new one has begun, and not before.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
#[cfg(unix)]
use std::process::Stdio;
#[cfg(unix)]
use std::time::Duration;

use crate::support::place::{Place, SHORT, lines};

/// The files of a folder and what is in them, but for the lock.
fn contents(place: &Place, folder: &str) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = place.files(folder).into_iter().map(|name| {
        let path = place.path(folder).join(name);
        let bytes = fs::read(&path).unwrap();
        (path, bytes)
    });
    files.collect()
}

/// A folder with a run of some names.
fn old_run() -> (Place, String) {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.succeed(&[&["train", &file, "--out", "run", "--keep", "1"][..], &SHORT].concat());
    (place, file)
}

#[test]
fn an_old_run_stays_where_the_new_one_cannot_begin() {
    let (place, file) = old_run();
    place.write("broken.safetensors", "half");
    place.write("empty.txt", "");
    let old = contents(&place, "run");
    for (data, options, word) in [
        ("dta.txt", &[][..], "dta.txt"),
        ("empty.txt", &[], "empty"),
        (&file, &["--val", "none.txt"], "none.txt"),
        (
            &file,
            &["--init-from", "none.safetensors"],
            "none.safetensors",
        ),
        (
            &file,
            &["--init-from", "broken.safetensors"],
            "broken.safetensors",
        ),
        (&file, &["--mode", "text", "--window", "5000"], "window"),
        (&file, &["--params-budget", "1"], "no network fits"),
        (&file, &["--config", "none.toml"], "none.toml"),
    ] {
        let train = ["train", data, "--out", "run", "--force"];
        place.fail_with(&[&train[..], options].concat(), &[word]);
        assert!(contents(&place, "run") == old, "{options:?}");
    }
    place.succeed(&["train", "--resume", "run", "--epochs", "2"]);
}

#[test]
fn the_model_of_the_old_run_goes_too_if_it_has_another_name() {
    let (place, _) = old_run();
    let other = place.write("other.txt", lines());
    place.succeed(&[&["train", &other, "--out", "run", "--force"][..], &SHORT].concat());
    let models = place
        .files("run")
        .into_iter()
        .filter(|name| name.ends_with(".charlet"));
    assert_eq!(models.collect::<Vec<_>>(), ["other.charlet"]);
}

/// A limit on the size of files stands for a full disk.
#[cfg(unix)]
#[test]
fn an_old_run_stays_where_the_disk_is_too_full_for_the_new_one() {
    let (place, file) = old_run();
    let old = contents(&place, "run");
    let train = ["train", &file, "--out", "run", "--force"];
    let output = place.limited("-f 64", &train).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("can't write run/"), "{stderr}");
    assert!(contents(&place, "run") == old);
}

#[test]
fn files_of_the_user_stay_and_those_of_the_old_run_go() {
    let (place, file) = old_run();
    let mine = [
        ".charlet-notes",
        "epoch-notes.safetensors",
        "other.charlet",
        "readme.txt",
    ];
    for name in mine {
        fs::write(place.path("run").join(name), name).unwrap();
    }
    let kept = |place: &Place| {
        let names = place.files("run").into_iter();
        let mut kept = names.filter(|name| name.starts_with("epoch-0"));
        (kept.next().unwrap(), kept.next())
    };
    let (old, _) = kept(&place);
    let train = ["train", &file, "--out", "run", "--force", "--seed", "7"];
    place.succeed(&[&train[..], &["--keep", "1"], &SHORT].concat());
    assert!(!place.path("run").join(old).exists());
    assert_eq!(kept(&place).1, None);
    assert!(!place.path("run/.charlet-replaced").exists());
    for name in mine {
        assert_eq!(
            fs::read(place.path("run").join(name)).unwrap(),
            name.as_bytes()
        );
    }
}

#[test]
fn a_run_takes_no_input_from_what_it_replaces() {
    let (place, file) = old_run();
    // Under any of its names.
    fs::hard_link(
        place.path("run/best.safetensors"),
        place.path("mine.safetensors"),
    )
    .unwrap();
    fs::copy(place.path(&file), place.path("run/metrics.jsonl")).unwrap();
    fs::copy(place.path(&file), place.path("run/find-lr.csv")).unwrap();
    let old = contents(&place, "run");
    for (options, words) in [
        (&["run/metrics.jsonl"][..], ["metrics.jsonl", "the data"]),
        (
            &[&file, "--val", "run/metrics.jsonl"],
            ["metrics.jsonl", "--val"],
        ),
        (
            &[&file, "--config", "run/config.toml"],
            ["config.toml", "--config"],
        ),
        (
            &[&file, "--init-from", "run/best.safetensors"],
            ["best", "--init-from"],
        ),
        (
            &[&file, "--init-from", "mine.safetensors"],
            ["best", "--init-from"],
        ),
        (
            &["run/find-lr.csv", "--find-lr"],
            ["find-lr.csv", "the data"],
        ),
    ] {
        let train = ["train", "--out", "run", "--force"];
        place.fail_with(&[&train[..], options].concat(), &words);
        assert!(contents(&place, "run") == old, "{options:?}");
    }
    // Into another folder they are as good as any.
    let again = [
        "train",
        &file,
        "--config",
        "run/config.toml",
        "--out",
        "again",
    ];
    place.succeed(&[&again[..], &["--init-from", "run/best.safetensors"]].concat());
}

#[test]
fn a_folder_with_anything_of_a_run_is_no_empty_one() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    let train = [&["train", &file, "--out", "run"][..], &SHORT].concat();
    for name in [
        "best.safetensors",
        "epoch-001-2.0000.safetensors",
        "data.charlet",
        "steps.jsonl",
    ] {
        fs::create_dir(place.path("run")).unwrap();
        fs::write(place.path("run").join(name), "mine").unwrap();
        place.fail_with(&train, &["run", name, "--out", "--force"]);
        assert_eq!(fs::read(place.path("run").join(name)).unwrap(), b"mine");
        assert_eq!(place.files("run"), [name]);
        place.succeed(&[&train[..], &["--force"]].concat());
        fs::remove_dir_all(place.path("run")).unwrap();
    }
}

/// What a process leaves that is killed when the old run is set aside, and the new one has or hasn't begun.
#[test]
fn the_next_command_puts_right_what_a_killed_one_left() {
    for has_begun in [false, true] {
        for command in [
            &["compare", "run"][..],
            &["train", "--resume", "run"],
            &["train", "data.txt", "--out", "run"],
        ] {
            let (place, file) = old_run();
            let old = contents(&place, "run");
            place.succeed(&[&["train", &file, "--out", "new", "--seed", "7"][..], &SHORT].concat());
            let new = contents(&place, "new");
            let aside = place.path("run/.charlet-replaced");
            fs::create_dir(&aside).unwrap();
            fs::write(aside.join(".charlet-moved"), "").unwrap();
            for path in old.keys() {
                fs::rename(path, aside.join(path.file_name().unwrap())).unwrap();
            }
            let mut left: Vec<PathBuf> = new.keys().cloned().collect();
            let first = [
                "metrics.jsonl",
                "steps.jsonl",
                "epoch.safetensors",
                "last.safetensors",
            ];
            let is_first = |path: &PathBuf| first.iter().any(|name| path.ends_with(name));
            left.retain(|path| has_begun || is_first(path));
            for path in &left {
                fs::copy(path, place.path("run").join(path.file_name().unwrap())).unwrap();
            }
            place.run(command);
            assert!(!aside.exists(), "{command:?}");
            let expected = if has_begun { &new } else { &old };
            for (path, bytes) in expected {
                let name = path.file_name().unwrap();
                // A finished run that goes on is shown once more.
                if name != "report.html" && name != "curves.png" {
                    let now = fs::read(place.path("run").join(name)).unwrap();
                    assert!(&now == bytes, "{command:?} {name:?}");
                }
            }
            assert_eq!(place.files("run").len(), expected.len());
        }
    }
}

/// At any moment, from before it has begun until it is under way.
#[cfg(unix)]
#[test]
fn a_killed_replacement_leaves_one_of_the_two_runs() {
    let (place, file) = old_run();
    let old = contents(&place, "run");
    for milliseconds in (0..).step_by(4) {
        let train = ["train", &file, "--out", "run", "--force", "--seed", "7"];
        let mut child = place
            .command(&[&train[..], &["--epochs", "100000"]].concat())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(milliseconds));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().code(), None);
        // A command that only looks puts it right.
        place.run(&["compare", "run"]);
        assert!(!place.path("run/.charlet-replaced").exists());
        let config = fs::read_to_string(place.path("run/config.toml")).unwrap();
        if config.contains("seed = 7") {
            assert!(place.path("run/last.safetensors").exists());
            assert!(
                !place
                    .files("run")
                    .iter()
                    .any(|name| name.starts_with("epoch-0"))
            );
            break;
        }
        assert!(contents(&place, "run") == old);
    }
    place.succeed(&["train", "--resume", "run", "--patience", "1"]);
}

#[test]
fn a_training_that_fails_leaves_no_folder() {
    let place = Place::new();
    let file = place.write("data.txt", lines());
    place.write("empty.txt", "");
    for options in [
        &["missing.txt"][..],
        &["empty.txt", "--out", "some/where"],
        &[&file, "--val", "none.txt"],
        &[&file, "--init-from", "none.safetensors", "--out", "run"],
        &[&file, "--mode", "text", "--window", "5000"],
    ] {
        place.fail(&[&["train"][..], options].concat());
        assert_eq!(place.files("."), ["data.txt", "empty.txt"], "{options:?}");
    }
    // One that was there stays, as it was.
    fs::create_dir(place.path("charlet-out")).unwrap();
    place.fail(&["train", "missing.txt"]);
    assert_eq!(fs::read_dir(place.path("charlet-out")).unwrap().count(), 0);
    fs::create_dir(place.path("mine")).unwrap();
    fs::write(place.path("mine/notes.txt"), "").unwrap();
    place.fail(&["train", "missing.txt", "--out", "mine"]);
    assert_eq!(fs::read_dir(place.path("mine")).unwrap().count(), 1);
}
