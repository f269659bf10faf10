//! One model, one file: no other bytes mean the same.

use charlet::format::{Cell, Header, Input, Precision, WeightBits};
use charlet::{Error, Model};

use crate::hostile::fuzz::layout::fixed;
use crate::hostile::fuzz::model::{check, seal, seeds};
use crate::runtime::model_file::Forged;
use crate::support::repository;

/// A file with these bytes of a small model's header.
fn with_header(change: impl FnOnce(&mut Vec<u8>)) -> Result<(), Error> {
    let mut forged = Forged::new(&Header {
        cell: Cell::Lstm,
        precision: Precision::F32,
        chars: "abc",
        vocab_size: 4,
        start: 3,
        end: Some(3),
        embedding_size: 2,
        hidden_size: 5,
        num_layers: 1,
        has_unknown: false,
        input: Input::Table,
        head_bits: WeightBits::Eight,
    });
    change(&mut forged.header);
    Model::from_bytes(&forged.bytes()).map(|_| ())
}

#[test]
fn numbers_have_one_form() {
    with_header(|_| {}).unwrap();
    // The cell, the precision, the length of "abc", and the last number.
    for at in [0, 1, 2] {
        for zeros in [&[0x00][..], &[0x80, 0x00]] {
            let refused = with_header(|header| {
                header[at] |= 0x80;
                header.splice(at + 1..at + 1, zeros.iter().copied());
            });
            assert_eq!(refused, Err(Error::InvalidHeader), "field {at}");
        }
    }
    let refused = with_header(|header| {
        *header.last_mut().unwrap() |= 0x80;
        header.push(0);
    });
    assert_eq!(refused, Err(Error::InvalidHeader));
}

/// Every byte of every seed, of all precisions: with another value the file is refused, or it is the
/// file of another model, or the byte only fills up an integer model.
#[test]
fn every_byte_means_something() {
    for file in seeds() {
        let header = Model::from_bytes(&file).unwrap().header();
        let from = file.len() - fixed(&header).len();
        for at in 8..file.len() {
            if (28..32).contains(&at) {
                continue;
            }
            let values: Vec<u8> = if at < from {
                (0..=255).collect()
            } else {
                // Each bit, and all.
                let bits = (0..8).map(|bit| file[at] ^ 1 << bit);
                bits.chain([!file[at]]).collect()
            };
            for value in values {
                let mut changed = file.clone();
                changed[at] = value;
                seal(&mut changed);
                // Fails where what is accepted isn't what would be written.
                check(&changed);
            }
        }
    }
}

#[test]
fn what_is_shipped_is_as_it_would_be_written() {
    for model in [
        "names/names",
        "names/names-i8",
        "names/names-i4",
        "names-tiny/names-tiny",
        "messages/messages",
        "messages/messages-64k",
        "shakespeare-256k/shakespeare-256k",
    ] {
        let file = std::fs::read(repository(&format!("models/{model}.charlet"))).unwrap();
        check(&file);
        // Integer models have the padding too that no reader looks at.
        let header = Model::from_bytes(&file).unwrap().header();
        let fixed = fixed(&header);
        let weights = &file[file.len() - fixed.len()..];
        for (at, (byte, fixed)) in weights.iter().zip(fixed).enumerate() {
            assert!(fixed.allows(*byte), "{model}: byte {at} of the weights");
        }
    }
}

#[test]
fn zeros_after_the_version_are_zeros() {
    for at in [10, 11] {
        let mut file = seeds().swap_remove(0);
        file[at] = 1;
        seal(&mut file);
        assert_eq!(
            Model::from_bytes(&file).map(|_| ()),
            Err(Error::InvalidHeader)
        );
    }
}
