//! Bytes as text, for channels that carry nothing else.

use anyhow::{Context, Result, bail};
use data_encoding::{BASE64, BASE64_NOPAD, HEXLOWER, HEXLOWER_PERMISSIVE};

/// How bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextForm {
    /// Two hexadecimal digits a byte.
    Hex,
    /// RFC 4648: 4 characters for 3 bytes.
    Base64,
    /// basE91 by Joachim Henke: about 16 characters for 13 bytes.
    Base91,
}

impl TextForm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hex, Self::Base64, Self::Base91];

    /// Its name, which is that of its option, too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hex => "hex",
            Self::Base64 => "base64",
            Self::Base91 => "base91",
        }
    }

    /// Bytes as a text of one line.
    pub fn encode(self, bytes: &[u8]) -> String {
        match self {
            Self::Hex => HEXLOWER.encode(bytes),
            Self::Base64 => BASE64.encode(bytes),
            Self::Base91 => to_base91(bytes),
        }
    }

    /// The bytes of a text. White space doesn't count, nor what fills base64 up at its end.
    ///
    /// # Errors
    /// If the text has another form, or is cut off.
    pub fn decode(self, text: &[u8]) -> Result<Vec<u8>> {
        let mut text = text.to_vec();
        text.retain(|byte| !byte.is_ascii_whitespace());
        self.decode_plain(text)
            .with_context(|| format!("it is no {}", self.name()))
    }

    fn decode_plain(self, mut text: Vec<u8>) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Hex => HEXLOWER_PERMISSIVE.decode(&text)?,
            Self::Base64 => {
                let filling = text.iter().rev().take(2).take_while(|&&byte| byte == b'=');
                text.truncate(text.len() - filling.count());
                BASE64_NOPAD.decode(&text)?
            }
            Self::Base91 => from_base91(&text)?,
        })
    }
}

/// The digits of basE91: all of ASCII that is seen but for `-`, `'` and `\`.
const BASE91: &[u8; 91] =
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$%&()*+,./:;<=>?@[]^_`{|}~\"";

/// Two digits stand for 13 bits or, where these are so few that there is room for one more, for 14.
fn pair_bits(value: u32) -> u32 {
    if value & 0x1fff > 88 { 13 } else { 14 }
}

fn to_base91(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut digit = |value: u32| {
        let digit = BASE91.get(value as usize % BASE91.len());
        text.extend(digit.copied().map(char::from));
    };
    // Bits that are not written yet, from the lowest on.
    let (mut bits, mut count) = (0u32, 0);
    for &byte in bytes {
        bits |= u32::from(byte) << count;
        count += 8;
        if count > 13 {
            let taken = pair_bits(bits);
            let value = bits & ((1 << taken) - 1);
            digit(value % 91);
            digit(value / 91);
            bits >>= taken;
            count -= taken;
        }
    }
    if count > 0 {
        digit(bits % 91);
        if count > 7 || bits > 90 {
            digit(bits / 91);
        }
    }
    text
}

fn from_base91(text: &[u8]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0);
    let mut first = None;
    for (at, &char) in (1..).zip(text) {
        let Some(digit) = BASE91.iter().position(|&digit| digit == char) else {
            bail!(
                "no digit: character {at} without white space, {:?}",
                char::from(char)
            );
        };
        let digit = digit as u32;
        let Some(low) = first.take() else {
            first = Some(digit);
            continue;
        };
        let value = low + 91 * digit;
        bits |= value << count;
        count += pair_bits(value);
        while count > 7 {
            bytes.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    }
    if let Some(last) = first {
        bytes.push((bits | last << count) as u8);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_are_those_that_others_read() {
        let check = |form: TextForm, bytes: &[u8], text: &str| {
            assert_eq!(form.encode(bytes), text);
            assert_eq!(form.decode(text.as_bytes()).unwrap(), bytes);
        };
        check(TextForm::Hex, b"\x00\xffz", "00ff7a");
        check(TextForm::Base64, b"\x00\xffz\x01", "AP96AQ==");
        // Of the reference program.
        check(TextForm::Base91, b"test", "fPNKd");
        check(TextForm::Base91, b"Hello, World!\n", ">OwJh>}AQ;r@@Y?FF");
        let bytes: Vec<u8> = (0..=255).step_by(7).collect();
        let text = "#T(X)TD56I_}f76d5GYJA_]e%*ilJH+91^/_U6,E+o>;KL";
        check(TextForm::Base91, &bytes, text);
        for form in TextForm::ALL {
            check(form, b"", "");
        }
    }

    #[test]
    fn white_space_filling_and_case_do_not_count() {
        let decode = |form: TextForm, text: &str| form.decode(text.as_bytes()).unwrap();
        assert_eq!(decode(TextForm::Hex, " 00 FF\r\n7A\n"), b"\x00\xffz");
        for text in ["AP96AQ", "AP96AQ==", "AP96\nAQ= ="] {
            assert_eq!(decode(TextForm::Base64, text), b"\x00\xffz\x01");
        }
        assert_eq!(decode(TextForm::Base91, "fP NKd\n"), b"test");
    }

    #[test]
    fn what_has_another_form_is_refused() {
        for (form, text) in [
            (TextForm::Hex, "0"),
            (TextForm::Hex, "0g"),
            (TextForm::Base64, "A"),
            (TextForm::Base64, "AP96-"),
            (TextForm::Base64, "===="),
            (TextForm::Base91, "ab-"),
            (TextForm::Base91, "ä"),
        ] {
            let error = format!("{:#}", form.decode(text.as_bytes()).unwrap_err());
            assert!(
                error.starts_with(&format!("it is no {}", form.name())),
                "{error}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_form_gives_the_bytes_back(bytes: Vec<u8>) {
            for form in TextForm::ALL {
                let text = form.encode(&bytes);
                prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()));
                prop_assert_eq!(form.decode(text.as_bytes()).unwrap(), bytes.clone());
            }
        }

        #[test]
        fn any_text_is_safe(text: Vec<u8>) {
            for form in TextForm::ALL {
                let _ = form.decode(&text);
            }
        }
    }
}
