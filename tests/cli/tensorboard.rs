//! Event files for TensorBoard, read by the format's definition.

use std::fs;

use crc::{CRC_32_ISCSI, Crc};
use serde_json::Value;

use crate::support::place::{Place, lines};

/// A field of a protobuf message.
#[derive(Debug, PartialEq)]
enum Field {
    Number(u64),
    Bytes(Vec<u8>),
}

/// The fields of a message, with their numbers.
fn fields(mut message: &[u8]) -> Vec<(u64, Field)> {
    fn take<'m>(message: &mut &'m [u8], count: usize) -> &'m [u8] {
        let (taken, rest) = message.split_at(count);
        *message = rest;
        taken
    }
    fn varint(message: &mut &[u8]) -> u64 {
        let mut value = 0;
        for shift in (0..).step_by(7) {
            let byte = take(message, 1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return value;
            }
        }
        unreachable!()
    }
    let mut fields = Vec::new();
    while !message.is_empty() {
        let key = varint(&mut message);
        let value = match key & 7 {
            0 => Field::Number(varint(&mut message)),
            1 => Field::Bytes(take(&mut message, 8).to_vec()),
            2 => {
                let length = varint(&mut message) as usize;
                Field::Bytes(take(&mut message, length).to_vec())
            }
            5 => Field::Bytes(take(&mut message, 4).to_vec()),
            kind => panic!("a field of kind {kind}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

/// The first field of this number.
fn bytes(message: &[u8], number: u64) -> Option<Vec<u8>> {
    let found = fields(message)
        .into_iter()
        .find(|&(other, _)| other == number);
    match found?.1 {
        Field::Bytes(bytes) => Some(bytes),
        Field::Number(_) => panic!("field {number} is a number"),
    }
}

fn number(message: &[u8], number: u64) -> u64 {
    let found = fields(message)
        .into_iter()
        .find(|&(other, _)| other == number);
    match found {
        Some((_, Field::Number(value))) => value,
        None => 0,
        Some(_) => panic!("field {number} is no number"),
    }
}

/// The events of all files in a folder, in the order of their names. Checks lengths and checksums.
fn events(place: &Place, folder: &str) -> Vec<Vec<u8>> {
    let crc = Crc::<u32>::new(&CRC_32_ISCSI);
    let masked = |bytes: &[u8]| {
        let crc = crc.checksum(bytes);
        crc.rotate_right(15).wrapping_add(0xa282_ead8)
    };
    let mut events = Vec::new();
    for name in place.files(folder) {
        assert!(name.starts_with("events.out.tfevents."), "{name}");
        let file = fs::read(place.path(folder).join(&name)).unwrap();
        let mut rest = &file[..];
        while let Some((head, after)) = rest.split_at_checked(12) {
            let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
            assert_eq!(word(&head[8..]), masked(&head[..8]));
            let length = u64::from_le_bytes(head[..8].try_into().unwrap());
            let (event, after) = after.split_at(length as usize);
            assert_eq!(word(&after[..4]), masked(event));
            events.push(event.to_vec());
            rest = &after[4..];
        }
        assert!(rest.is_empty(), "{name} ends within a record");
    }
    events
}

/// The values of an event: tags and messages.
fn values(event: &[u8]) -> Vec<(String, Vec<u8>)> {
    let summary = bytes(event, 5).unwrap_or_default();
    let values = fields(&summary).into_iter().map(|field| match field {
        (1, Field::Bytes(value)) => {
            let tag = String::from_utf8(bytes(&value, 1).unwrap()).unwrap();
            (tag, value)
        }
        other => panic!("{other:?} in a summary"),
    });
    values.collect()
}

/// The points of a curve.
fn scalars(events: &[Vec<u8>], tag: &str) -> Vec<(u64, f32)> {
    let points = events.iter().flat_map(|event| {
        let step = number(event, 2);
        let ours = values(event).into_iter().filter(|(other, _)| other == tag);
        ours.map(move |(_, value)| {
            let float = bytes(&value, 2).unwrap().try_into().unwrap();
            (step, f32::from_le_bytes(float))
        })
    });
    points.collect()
}

/// The same of a log.
fn logged(place: &Place, name: &str, step: &str, value: &str) -> Vec<(u64, f32)> {
    let log = fs::read_to_string(place.path("run").join(name)).unwrap();
    let points = log.lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        (
            line[step].as_u64().unwrap(),
            line[value].as_f64().unwrap() as f32,
        )
    });
    points.collect()
}

#[test]
fn event_files_have_the_curves_of_the_logs_and_the_samples() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    let train = [
        "train", &file, "--hidden", "8", "--epochs", "3", "--out", "run",
    ];
    let more = ["--tensorboard", "--sample-every", "2"];
    place.succeed(&[&train[..], &more].concat());
    let written = events(&place, "run/tensorboard");
    assert_eq!(bytes(&written[0], 3).unwrap(), b"brain.Event:2");
    let seconds = f64::from_le_bytes(bytes(&written[0], 1).unwrap().try_into().unwrap());
    assert!(seconds > 1.7e9, "{seconds}");
    for (tag, value) in [
        ("loss/train", "train_nats_per_char"),
        ("learning_rate", "learning_rate"),
        ("gradient_norm", "gradient_norm"),
        ("chars_per_second", "chars_per_second"),
    ] {
        let points = scalars(&written, tag);
        assert!(points.len() > 10);
        assert_eq!(points, logged(&place, "steps.jsonl", "step", value));
    }
    let value = "validation_nats_per_char";
    assert_eq!(
        scalars(&written, "loss/held_out"),
        logged(&place, "metrics.jsonl", "steps", value)
    );
    let texts: Vec<_> = written
        .iter()
        .flat_map(|event| values(event))
        .filter(|(tag, _)| tag == "sample/temperature 0.5")
        .collect();
    assert_eq!(texts.len(), 1);
    let plugin = bytes(&bytes(&texts[0].1, 9).unwrap(), 1).unwrap();
    assert_eq!(bytes(&plugin, 1).unwrap(), b"text");
    assert!(
        !bytes(&bytes(&texts[0].1, 8).unwrap(), 8)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn a_run_that_goes_on_takes_back_what_it_makes_again() {
    let place = Place::new();
    let file = place.write("data.txt", lines().repeat(20));
    let train = [
        "train", &file, "--hidden", "8", "--epochs", "2", "--out", "run",
    ];
    place.succeed(&[&train[..], &["--tensorboard"]].concat());
    let first = events(&place, "run/tensorboard").len();
    // Without being asked again.
    place.succeed(&["train", "--resume", "run", "--epochs", "3"]);
    assert_eq!(place.files("run/tensorboard").len(), 2);
    let written = events(&place, "run/tensorboard");
    let second = &written[first..];
    assert_eq!(bytes(&second[0], 3).unwrap(), b"brain.Event:2");
    let last = scalars(&written[..first], "loss/held_out")[1].0;
    assert_eq!(number(&second[1], 2), last + 1);
    assert_eq!(number(&bytes(&second[1], 7).unwrap(), 1), 1);
    assert_eq!(scalars(second, "loss/held_out").len(), 1);
    // A new run in its place begins anew.
    place.succeed(&[&train[..], &["--tensorboard", "--force"]].concat());
    assert_eq!(place.files("run/tensorboard").len(), 1);
}
