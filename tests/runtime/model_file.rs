//! Model files that are damaged, cut or made up.

use charlet::format::layout::Sections;
use charlet::format::{Cell, Header, Input, Precision, VERSION, WeightBits};
use charlet::{Error, Model, Sizes};
use crc::{CRC_32_ISO_HDLC, Crc};

use crate::support::small_model;

/// A file put together by hand, as `runtime/FORMAT.md` describes it.
#[derive(Clone)]
pub struct Forged {
    pub version: u16,
    pub header: Vec<u8>,
    weights: Vec<u8>,
    state_words: u32,
    workspace_words: u32,
}

impl Forged {
    /// A valid file with zero weights.
    pub fn new(header: &Header<'_>) -> Self {
        let weights = Sections::of(header).map_or(0, |sections| sections.bytes());
        let [hidden, layers] = [header.hidden_size, header.num_layers].map(u32::from);
        Self {
            version: header.version(),
            header: header_bytes(header),
            weights: vec![0; weights.min(1 << 20)],
            // Wraps for sizes that no file can have.
            state_words: (2 * hidden).wrapping_mul(layers),
            workspace_words: hidden + u32::from(header.vocab_size),
        }
    }

    pub fn bytes(&self) -> Vec<u8> {
        let padding = (16 - (32 + self.header.len()) % 16) % 16;
        let file_len = 32 + self.header.len() + padding + self.weights.len();
        let mut prelude = b"charlet\n".to_vec();
        prelude.extend(self.version.to_le_bytes());
        prelude.extend([0, 0]);
        prelude.extend((self.header.len() as u32).to_le_bytes());
        prelude.extend((file_len as u32).to_le_bytes());
        prelude.extend(self.state_words.to_le_bytes());
        prelude.extend(self.workspace_words.to_le_bytes());
        let body = [&self.header[..], &vec![0; padding], &self.weights].concat();
        seal(prelude, &body)
    }
}

/// Adds the checksum.
fn seal(prelude: Vec<u8>, body: &[u8]) -> Vec<u8> {
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC);
    let mut digest = crc.digest();
    digest.update(&prelude);
    digest.update(body);
    let checksum = digest.finalize().to_le_bytes();
    [&prelude[..], &checksum, body].concat()
}

/// Makes the checksum right again after a change.
pub fn reseal(file: &[u8]) -> Vec<u8> {
    seal(file[..28].to_vec(), &file[32..])
}

/// A header as its version has it.
pub fn header_bytes(header: &Header<'_>) -> Vec<u8> {
    let mut bytes = postcard::to_stdvec(header).unwrap();
    if header.version() > 1 {
        let embedding = u8::from(header.input == Input::Embedding);
        let small_head = u8::from(header.head_bits == WeightBits::Four);
        bytes.push(u8::from(header.has_unknown) | embedding << 1 | small_head << 2);
    }
    bytes
}

pub fn header(chars: &str) -> Header<'_> {
    Header {
        cell: Cell::Lstm,
        precision: Precision::F32,
        chars,
        vocab_size: 4,
        start: 3,
        end: Some(3),
        embedding_size: 2,
        hidden_size: 5,
        num_layers: 2,
        has_unknown: false,
        input: Input::Table,
        head_bits: WeightBits::Eight,
    }
}

pub fn error(file: &[u8]) -> Error {
    Model::from_bytes(file).map(|_| ()).unwrap_err()
}

#[test]
fn a_file_made_by_hand_after_the_specification_is_read() {
    let file = Forged::new(&header("abc")).bytes();
    let model = Model::from_bytes(&file).unwrap();
    assert_eq!(model.header(), header("abc"));
    assert_eq!(
        model.sizes(),
        Sizes {
            state: 20,
            workspace: 9
        }
    );
    assert_eq!(Sizes::read(&file), Ok(model.sizes()));
}

#[test]
fn the_exporter_writes_what_the_specification_says() {
    let file = small_model();
    let model = Model::from_bytes(&file).unwrap();
    let mut forged = Forged::new(&model.header());
    forged.weights = file[file.len() - forged.weights.len()..].to_vec();
    assert_eq!(file, forged.bytes());
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    let file = small_model();
    for length in 0..file.len() {
        let expected = if length < 32 { 32 } else { file.len() };
        assert_eq!(
            error(&file[..length]),
            Error::Truncated {
                expected,
                actual: length
            }
        );
    }
    assert_eq!(error(b"charles\n and more"), Error::NotAModel);
}

#[test]
fn any_flipped_bit_is_refused() {
    let file = small_model();
    Model::from_bytes(&file).unwrap();
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut damaged = file.clone();
            damaged[at] ^= 1 << bit;
            let error = error(&damaged);
            let expected = match at {
                0..8 => matches!(error, Error::NotAModel),
                8..10 => matches!(error, Error::UnsupportedVersion { .. }),
                // The file's length.
                16..20 => matches!(error, Error::Truncated { .. } | Error::TrailingBytes(_)),
                _ => error == Error::ChecksumMismatch,
            };
            assert!(expected, "bit {bit} of byte {at}: {error}");
        }
    }
}

#[test]
fn bytes_after_the_end_are_refused() {
    let mut file = small_model();
    file.extend([0; 3]);
    assert_eq!(error(&file), Error::TrailingBytes(3));
}

#[test]
fn other_versions_are_named() {
    for found in [0, VERSION + 1, u16::MAX] {
        let mut forged = Forged::new(&header("abc"));
        forged.version = found;
        let expected = Error::UnsupportedVersion {
            found,
            supported: VERSION,
        };
        assert_eq!(error(&forged.bytes()), expected);
        assert_eq!(Sizes::read(&forged.bytes()), Err(expected));
    }
}

#[test]
fn impossible_sizes_are_refused() {
    let refused = |change: fn(&mut Header<'static>)| {
        let mut header = header("abc");
        change(&mut header);
        error(&Forged::new(&header).bytes())
    };
    assert_eq!(refused(|h| h.hidden_size = 0), Error::InvalidSizes);
    assert_eq!(refused(|h| h.num_layers = 0), Error::InvalidSizes);
    assert_eq!(refused(|h| h.embedding_size = 0), Error::InvalidSizes);
    // Sizes whose weights exceed any memory, and the address space of a chip.
    assert_eq!(
        refused(|h| (h.hidden_size, h.num_layers) = (65_535, 65_535)),
        Error::InvalidSizes
    );
}

#[test]
fn weights_of_another_length_are_refused() {
    for change in [-64isize, -1, 1, 64] {
        let mut forged = Forged::new(&header("abc"));
        let length = forged.weights.len().checked_add_signed(change).unwrap();
        forged.weights.resize(length, 0);
        assert_eq!(
            error(&forged.bytes()),
            Error::InvalidSizes,
            "{change} bytes"
        );
    }
}

#[test]
fn memory_sizes_that_contradict_the_header_are_refused() {
    for change in [
        |f: &mut Forged| f.state_words -= 1,
        |f: &mut Forged| f.workspace_words += 1,
    ] {
        let mut forged = Forged::new(&header("abc"));
        change(&mut forged);
        assert_eq!(error(&forged.bytes()), Error::InvalidSizes);
    }
}

#[test]
fn invalid_vocabularies_are_refused() {
    let refused = |change: fn(&mut Header<'static>)| {
        let mut header = header("abc");
        change(&mut header);
        error(&Forged::new(&header).bytes())
    };
    assert_eq!(refused(|h| h.chars = "cba"), Error::InvalidVocabulary);
    assert_eq!(refused(|h| h.chars = "aab"), Error::InvalidVocabulary);
    assert_eq!(refused(|h| h.chars = "abcde"), Error::InvalidVocabulary);
    assert_eq!(refused(|h| h.start = 4), Error::InvalidVocabulary);
    assert_eq!(refused(|h| h.end = Some(2)), Error::InvalidVocabulary);
    assert_eq!(refused(|h| h.vocab_size = 0), Error::InvalidVocabulary);
}

#[test]
fn malformed_headers_are_refused() {
    let forged = Forged::new(&header("abc"));
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut forged = Forged::new(&header("abc"));
        change(&mut forged.header);
        error(&forged.bytes())
    };
    assert_eq!(with(&|header| header.clear()), Error::InvalidHeader);
    assert_eq!(
        with(&|header| header.truncate(header.len() - 1)),
        Error::InvalidHeader
    );
    assert_eq!(
        with(&|header| header.push(0)),
        Error::InvalidHeader,
        "a byte is left over"
    );
    assert_eq!(
        with(&|header| header[0] = 7),
        Error::InvalidHeader,
        "an unknown cell"
    );
    assert_eq!(
        with(&|header| header[1] = 7),
        Error::InvalidHeader,
        "an unknown precision"
    );
    assert_eq!(
        with(&|header| header[3] = 0xff),
        Error::InvalidHeader,
        "characters that are not UTF-8"
    );
    // A header that would reach beyond the file, and padding that isn't zero.
    let mut long = forged.bytes();
    long[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(error(&reseal(&long)), Error::InvalidHeader);
    let mut padded = forged.bytes();
    let at = 32 + forged.header.len();
    assert_ne!(at % 16, 0, "this header needs padding");
    padded[at] = 1;
    assert_eq!(error(&reseal(&padded)), Error::InvalidHeader);
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut forged = Forged::new(&header("abc"));
        let at = forged.weights.len() - 4;
        forged.weights[at..].copy_from_slice(&value.to_le_bytes());
        assert_eq!(error(&forged.bytes()), Error::NonFiniteWeight);
    }
}

#[test]
fn random_bytes_and_random_changes_never_panic() {
    use proptest::prelude::*;
    let file = small_model();
    proptest!(|(bytes: Vec<u8>)| {
        prop_assert!(Model::from_bytes(&bytes).is_err());
    });
    // With a right checksum, so that the checks behind it are reached.
    proptest!(|(changes: Vec<(prop::sample::Index, u8)>)| {
        let mut changed = file.clone();
        for (at, byte) in changes {
            changed[at.index(file.len())] = byte;
        }
        let changed = reseal(&changed);
        if let Ok(model) = Model::from_bytes(&changed) {
            let (mut state, mut workspace) = crate::support::memory(&model);
            let start = model.vocab().start();
            prop_assert!(model.step(start, &mut state, &mut workspace).is_ok());
        }
    });
}
