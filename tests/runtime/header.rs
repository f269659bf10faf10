//! Headers: the runtime reads without postcard what postcard writes.

use charlet::format::{self, Cell, Header, Input, Precision, WeightBits};
use charlet::{Error, Model};
use proptest::prelude::*;

use crate::runtime::model_file::{Forged, header_bytes};

/// A whole model with this header: no row of it can overflow.
fn model_file(header: &Header<'_>) -> Vec<u8> {
    let mut file = vec![0; format::file_len(header).unwrap()];
    format::write(header, &mut file, |weights| {
        // An integer model's shifts come first; 0 stands for its least weight.
        if header.precision != Precision::F32 {
            weights[..16].fill(20);
        }
    })
    .unwrap();
    file
}

/// What [`header`] makes a header of.
type Seed = (usize, String, [u16; 8]);

/// Seeds, with characters of one to four bytes.
fn seeds() -> impl Strategy<Value = Seed> {
    let chars = prop::collection::btree_set(any::<char>(), 0..60);
    (
        0..3usize,
        chars.prop_map(String::from_iter),
        any::<[u16; 8]>(),
    )
}

/// The header of a model that is valid, whatever the seed is, and small.
fn header((precision, chars, sizes): &Seed) -> Header<'_> {
    let &[marks, start, end, ends, embedding, hidden, layers, unknown] = sizes;
    let count = chars.chars().count() as u16;
    let marks = 1 + marks % 200;
    let end = (ends % 2 == 1).then_some(count + end % marks);
    // The last mark, of which there must be another than the end then.
    let has_unknown = unknown % 2 == 1 && end != Some(count + marks - 1);
    Header {
        cell: Cell::Lstm,
        precision: [Precision::F32, Precision::I8, Precision::I4][*precision],
        chars,
        vocab_size: count + marks,
        start: start % (count + marks),
        end,
        embedding_size: embedding.max(1),
        hidden_size: 1 + hidden % 9,
        num_layers: 1 + layers % 3,
        has_unknown,
        input: Input::Table,
        head_bits: WeightBits::Eight,
    }
}

/// Whether the runtime and postcard read the same from these bytes, as a header of each version.
fn check(bytes: &[u8]) {
    for version in [1, 2] {
        check_as(version, bytes);
    }
}

fn check_as(version: u16, bytes: &[u8]) {
    let mut forged = Forged::new(&Header {
        chars: "aé€🦀",
        ..header(&(0, String::new(), [4, 0, 0, 1, 300, 2, 1, 0]))
    });
    forged.header = bytes.to_vec();
    forged.version = version;
    let file = forged.bytes();
    let read = Model::from_bytes(&file);
    match taken(version, bytes) {
        Ok((header, [])) => match read {
            Ok(model) => {
                assert_eq!(model.header(), header);
                assert!(is_valid(version, bytes, &header), "{bytes:x?}");
            }
            Err(Error::InvalidHeader) => assert!(!is_valid(version, bytes, &header), "{bytes:x?}"),
            // What stands in the header is not the model that follows, or its alphabet is none.
            Err(_) => assert!(is_valid(version, bytes, &header), "{bytes:x?}"),
        },
        _ => match &read {
            // The characters may be out of order before they are no UTF-8.
            Err(Error::InvalidHeader | Error::InvalidVocabulary) => {}
            other => panic!("postcard refuses {bytes:x?}: {other:?}"),
        },
    }
}

/// Whether a header, as postcard has read it, is one: refused are varints of more bytes than they need, a later
/// version than is needed, and what doesn't go together.
fn is_valid(version: u16, bytes: &[u8], header: &Header<'_>) -> bool {
    let go_together = match (header.precision, header.input, header.head_bits) {
        (Precision::I4, _, _) => true,
        (Precision::I8, _, head) => head == WeightBits::Eight,
        (_, input, head) => (input, head) == (Input::Table, WeightBits::Eight),
    };
    header_bytes(header) == bytes && header.version() == version && go_together
}

/// What postcard reads, and the bytes that are left over.
fn taken(version: u16, bytes: &[u8]) -> postcard::Result<(Header<'_>, &[u8])> {
    let (header, rest) = postcard::take_from_bytes::<Header<'_>>(bytes)?;
    if version == 1 {
        return Ok((header, rest));
    }
    let (flags, rest) = postcard::take_from_bytes::<u8>(rest)?;
    if flags > 7 {
        return Err(postcard::Error::DeserializeBadEncoding);
    }
    let header = Header {
        has_unknown: flags & 1 > 0,
        input: [Input::Table, Input::Embedding][usize::from(flags >> 1 & 1)],
        head_bits: [WeightBits::Eight, WeightBits::Four][usize::from(flags >> 2)],
        ..header
    };
    Ok((header, rest))
}

#[test]
fn what_is_written_is_read() {
    proptest!(|(seed in seeds())| {
        let header = header(&seed);
        let file = model_file(&header);
        let model = Model::from_bytes(&file).unwrap();
        prop_assert_eq!(model.header(), header);
    });
}

#[test]
fn the_longest_lengths_are_read() {
    for count in [31, 32, 4_095, 4_096, 65_000] {
        let chars = String::from_iter(('\u{10000}'..).take(count));
        let seed = (1, chars, [0; 8]);
        let header = header(&seed);
        let file = model_file(&header);
        assert_eq!(Model::from_bytes(&file).unwrap().header(), header);
    }
}

#[test]
fn damaged_headers_are_read_as_postcard_reads_them() {
    proptest!(ProptestConfig::with_cases(20), |(seed in seeds())| {
        let bytes = header_bytes(&header(&seed));
        check(&bytes);
        for length in 0..bytes.len() {
            check(&bytes[..length]);
        }
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            check(&flipped);
        }
    });
}

#[test]
fn any_bytes_are_read_as_postcard_reads_them() {
    proptest!(|(bytes: Vec<u8>)| check(&bytes));
    // Nearer to a header: bytes of varints that go on, and lengths that fit.
    let near = prop::collection::vec(
        prop::sample::select(&[0, 1, 2, 3, 0x7f, 0x80, 0x81][..]),
        0..20,
    );
    proptest!(ProptestConfig::with_cases(10_000), |(bytes in near)| check(&bytes));
}
