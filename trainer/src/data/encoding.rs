//! From a file's bytes to text; says what encoding they look like where they can't be read.

use anyhow::{Result, anyhow, bail};
use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{DecoderResult, UTF_8, UTF_16BE, UTF_16LE};

use crate::config::Encoding;

/// How much of a file is looked at to guess its encoding.
const SAMPLE: usize = 1 << 20;

/// Decodes a file, of UTF-8 unless something else is said. A byte order mark overrules both.
///
/// # Errors
/// If it is of another encoding or has a NUL; the message says what it looks like and what helps.
pub(super) fn decode(
    bytes: Vec<u8>,
    wanted: Option<Encoding>,
    notes: &mut Vec<String>,
) -> Result<String> {
    // Of 32 bits the marks begin as those of 16 bits do.
    for (mark, name) in [
        ([0xff, 0xfe, 0, 0], "UTF-32LE"),
        ([0, 0, 0xfe, 0xff], "UTF-32BE"),
    ] {
        if bytes.starts_with(&mark) {
            bail!("it is {name}: convert it with `iconv -f {name} -t UTF-8`");
        }
    }
    let named = wanted.map_or(UTF_8, |encoding| encoding.0);
    let (encoding, mark) = encoding_rs::Encoding::for_bom(&bytes).unwrap_or((named, 0));
    if mark > 0 && encoding != named {
        notes.push(format!(
            "read as {}, as the byte order mark at its start says",
            encoding.name()
        ));
    } else if mark > 0 {
        notes.push("dropped the byte order mark at its start".to_owned());
    }
    if let Some(offset) = nul(&bytes, encoding) {
        let name = guess_utf16(&bytes).filter(|&guess| guess != encoding);
        match name {
            Some(guess) => bail!("{}", looks_like(guess)),
            None => bail!("it has a NUL character at byte offset {offset}: is it a text file?"),
        }
    }
    if encoding != UTF_8 {
        return strictly(&bytes, encoding, mark).map_err(|offset| {
            anyhow!(
                "it is not {} at byte offset {offset}: try another --encoding",
                encoding.name()
            )
        });
    }
    let mut text = String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        let bytes = error.as_bytes();
        let hint = if is_damaged_utf8(bytes) {
            ": all but some damaged places is. `iconv -c -f UTF-8 -t UTF-8` leaves those out"
                .to_owned()
        } else if let Some(guess) = guess(bytes, offset) {
            format!("; {}", looks_like(guess))
        } else {
            ": if it is a text, name its encoding with --encoding".to_owned()
        };
        anyhow!("it is not UTF-8 from byte offset {offset} on{hint}")
    })?;
    text.drain(..mark);
    Ok(text)
}

/// The text, or the offset of the first byte that the encoding doesn't have there.
fn strictly(
    bytes: &[u8],
    encoding: &'static encoding_rs::Encoding,
    from: usize,
) -> Result<String, usize> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let rest = &bytes[from..];
    let capacity = decoder.max_utf8_buffer_length_without_replacement(rest.len());
    let mut text = String::with_capacity(capacity.unwrap_or(rest.len()));
    let mut read = 0;
    loop {
        let (result, more) =
            decoder.decode_to_string_without_replacement(&rest[read..], &mut text, true);
        read += more;
        match result {
            DecoderResult::InputEmpty => break Ok(text),
            DecoderResult::OutputFull => text.reserve(rest.len() - read + 16),
            DecoderResult::Malformed(length, after) => {
                break Err(from + read - usize::from(length) - usize::from(after));
            }
        }
    }
}

/// The byte offset of the first NUL.
fn nul(bytes: &[u8], encoding: &'static encoding_rs::Encoding) -> Option<usize> {
    if encoding == UTF_16LE || encoding == UTF_16BE {
        let mut units = bytes.chunks_exact(2);
        return units.position(|unit| unit == [0, 0]).map(|at| 2 * at);
    }
    bytes.iter().position(|&byte| byte == 0)
}

/// UTF-16 without a mark, by its zeros: half of the bytes of all that is Latin, and of every line break.
fn guess_utf16(bytes: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let sample = &bytes[..bytes.len().min(SAMPLE) / 2 * 2];
    let zeros = |parity: usize| {
        let bytes = sample.iter().skip(parity).step_by(2);
        bytes.filter(|&&byte| byte == 0).count()
    };
    let (first, second) = (zeros(0), zeros(1));
    let encoding = if first < second { UTF_16LE } else { UTF_16BE };
    // What the sample cuts in half is no fault.
    let is_cut = |offset: usize| offset + 2 >= sample.len();
    let text = match strictly(sample, encoding, 0) {
        Ok(text) => text,
        Err(offset) if is_cut(offset) => String::new(),
        Err(_) => return None,
    };
    let zeros = first.max(second);
    // Plain text with a NUL here and there.
    let is_plain = |byte: u8| byte == 0 || byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    if 4 * zeros < sample.len() && sample.iter().all(|&byte| is_plain(byte)) {
        return None;
    }
    (first.min(second) * 20 < zeros && !text.contains(is_odd)).then_some(encoding)
}

/// Whether a character is in no text.
fn is_odd(char: char) -> bool {
    char.is_control() && !char.is_whitespace()
}

/// The encoding that bytes look like which are not UTF-8 from here on.
fn guess(bytes: &[u8], from: usize) -> Option<&'static encoding_rs::Encoding> {
    let to = bytes.len().min(from.saturating_add(SAMPLE));
    let sample = &bytes[from.saturating_sub(SAMPLE)..to];
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(sample, true);
    let guess = detector.guess(None, Utf8Detection::Deny);
    let decoded = guess.decode_without_bom_handling_and_without_replacement(sample);
    // Bytes that are no text at all look like some encoding, too.
    decoded.filter(|text| !text.contains(is_odd)).map(|_| guess)
}

/// Whether most of what isn't ASCII is right, so that some bytes are damaged or cut off.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut right, mut wrong) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        right += chunk
            .valid()
            .chars()
            .filter(|char| !char.is_ascii())
            .count();
        wrong += usize::from(!chunk.invalid().is_empty());
    }
    right > 4 * wrong
}

/// What to do with a file of this encoding.
fn looks_like(encoding: &'static encoding_rs::Encoding) -> String {
    let name = encoding.name();
    format!(
        "it looks like {name}: use --encoding {}, or convert it with `iconv -f {} -t UTF-8`",
        name.to_lowercase(),
        iconv_name(name)
    )
}

/// What `iconv` calls an encoding.
fn iconv_name(name: &'static str) -> &'static str {
    match name {
        "windows-874" => "CP874",
        "x-mac-cyrillic" => "MAC-CYRILLIC",
        "ISO-8859-8-I" => "ISO-8859-8",
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GERMAN: &str =
        "Die Vögel sangen „schön“ über den Dächern, und er fragte: »Weißt du’s?«\n";
    const RUSSIAN: &str =
        "Все счастливые семьи похожи друг на друга, каждая несчастлива по-своему.\n";
    const JAPANESE: &str = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。\n";

    fn encoded(text: &str, name: &str) -> Vec<u8> {
        let encoding = name.parse::<Encoding>().unwrap().0;
        let unit = |unit: u16| match encoding.name() {
            "UTF-16LE" => unit.to_le_bytes(),
            _ => unit.to_be_bytes(),
        };
        if name.starts_with("utf-16") {
            return text.encode_utf16().flat_map(unit).collect();
        }
        let (bytes, _, has_unmappable) = encoding.encode(text);
        assert!(!has_unmappable, "{name}");
        bytes.into_owned()
    }

    fn read(bytes: &[u8], encoding: Option<&str>) -> Result<(String, Vec<String>)> {
        let mut notes = Vec::new();
        let encoding = encoding.map(|name| name.parse().unwrap());
        Ok((decode(bytes.to_vec(), encoding, &mut notes)?, notes))
    }

    #[test]
    fn what_an_encoding_looks_like_is_named_and_read() {
        for (text, name) in [
            (GERMAN, "windows-1252"),
            (RUSSIAN, "windows-1251"),
            (RUSSIAN, "koi8-u"),
            (JAPANESE, "shift_jis"),
            (JAPANESE, "euc-jp"),
            (GERMAN, "utf-16le"),
            (GERMAN, "utf-16be"),
            (RUSSIAN, "utf-16le"),
            (JAPANESE, "utf-16be"),
        ] {
            let bytes = encoded(&text.repeat(20), name);
            let error = read(&bytes, None).unwrap_err().to_string();
            for part in [&format!("--encoding {name},"), "iconv -f ", " -t UTF-8`"] {
                assert!(error.contains(part), "{name}: {error}");
            }
            let (read, notes) = read(&bytes, Some(name)).unwrap();
            assert!(read == text.repeat(20) && notes.is_empty(), "{name}");
        }
    }

    #[test]
    fn a_byte_order_mark_overrules() {
        for (name, given) in [
            ("utf-16le", None),
            ("utf-16be", None),
            ("utf-16be", Some("latin1")),
        ] {
            let bytes = encoded(&format!("\u{feff}{GERMAN}"), name);
            let (text, notes) = read(&bytes, given).unwrap();
            assert_eq!(text, GERMAN);
            assert!(notes[0].contains(&name.to_uppercase()), "{notes:?}");
        }
        let (text, notes) = read("\u{feff}ä".as_bytes(), Some("latin1")).unwrap();
        assert_eq!((text.as_str(), notes.len()), ("ä", 1));
        // Plain text with a NUL is no UTF-16, though it may be read so.
        let plain = read(b"anna\nbert\0a\n", None).unwrap_err().to_string();
        assert!(plain.contains("NUL character at byte offset 9"), "{plain}");
        let utf32 = read(&[0xff, 0xfe, 0, 0, b'a', 0, 0, 0], None);
        assert!(utf32.unwrap_err().to_string().contains("UTF-32LE"));
    }

    #[test]
    fn malformed_bytes_are_refused_with_their_place() {
        let error = |bytes: &[u8], name| read(bytes, name).unwrap_err().to_string();
        assert!(error(b"abc\x81\xff\x81", Some("shift_jis")).contains("byte offset 3"));
        // A surrogate without its other half.
        let utf16 = [0xff, 0xfe, b'a', 0, 0x3d, 0xd8, b'b', 0];
        assert!(error(&utf16, None).contains("byte offset 4"));
        let cut = &GERMAN.as_bytes()[..6];
        assert!(error(&[GERMAN.as_bytes(), cut].concat(), None).contains("damaged"));
        let noise: Vec<u8> = (0..4096u32)
            .map(|n| (n * n * 7 + n / 3) as u8 | 1)
            .collect();
        let error = error(&noise, None);
        assert!(
            error.contains("not UTF-8") && !error.contains("looks like"),
            "{error}"
        );
    }
}
