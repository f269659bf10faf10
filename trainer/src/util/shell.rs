//! Commands that can be pasted into a shell.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use super::shown::is_hidden;

/// The name of this program, as it was called.
pub fn program() -> String {
    let name = std::env::args_os().next();
    word(&name.unwrap_or_else(|| "charlet".into()))
}

/// The same from any folder.
pub fn program_anywhere() -> String {
    let name = std::env::args_os()
        .next()
        .unwrap_or_else(|| "charlet".into());
    // A name without a folder is looked up in $PATH.
    let has_folder = Path::new(&name).components().count() > 1;
    match std::path::absolute(&name) {
        Ok(absolute) if has_folder => word(absolute.as_os_str()),
        _ => word(&name),
    }
}

/// A path that no command takes for an option.
pub fn path(path: &Path) -> String {
    if path.as_os_str().as_encoded_bytes().starts_with(b"-") {
        return word(Path::new(".").join(path).as_os_str());
    }
    word(path.as_os_str())
}

/// This command with another path in place of one that it was given; `None` if it wasn't.
pub fn with_path(old: &Path, new: &Path) -> Option<String> {
    let mut is_replaced = false;
    let mut words = vec![program()];
    for argument in std::env::args_os().skip(1) {
        let (option, value) = option_and_value(&argument);
        if is_replaced || value != old {
            words.push(word(&argument));
            continue;
        }
        is_replaced = true;
        words.push(match option {
            // The value of an option may begin with a hyphen.
            Some(option) => word(OsStr::new(option)) + "=" + &word(new.as_os_str()),
            None => path(new),
        });
    }
    is_replaced.then(|| words.join(" "))
}

/// This command with another option, as its user would write it, behind the name of the subcommand.
pub fn with_option(option: &str) -> String {
    let mut words = std::env::args_os().skip(1).map(|argument| word(&argument));
    let mut command = program();
    for word in words.next().iter().map(String::as_str).chain([option]) {
        command = command + " " + word;
    }
    words.fold(command, |command, word| command + " " + &word)
}

/// The parts of `--option=value`; what is no such thing is a value.
fn option_and_value(argument: &OsString) -> (Option<&str>, &Path) {
    let parts = argument.to_str().and_then(|text| text.split_once('='));
    match parts {
        Some((option, value)) if option.starts_with("--") => (Some(option), Path::new(value)),
        _ => (None, Path::new(argument)),
    }
}

/// A word that a shell leaves as it is.
pub fn word(word: &OsStr) -> String {
    match word.to_str() {
        Some(text) if !text.contains(|char| is_hidden(char) || char == '\n' || char == '\t') => {
            quoted(text)
        }
        _ => escaped(word),
    }
}

#[cfg(not(windows))]
fn quoted(text: &str) -> String {
    // No path has a zero byte, which is all that can't be quoted.
    shlex::try_quote(text).map_or_else(|_| text.to_owned(), std::borrow::Cow::into_owned)
}

/// As `cmd` and PowerShell take it: a path has no quotation marks there.
#[cfg(windows)]
fn quoted(text: &str) -> String {
    let is_plain = |char: char| char.is_alphanumeric() || "\\/:._-+=~".contains(char);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("\"{text}\"")
}

/// As bash, zsh and POSIX of 2024 write what can't be seen or is not UTF-8: `$'\033'`.
fn escaped(word: &OsStr) -> String {
    use std::fmt::Write;

    let mut text = "$'".to_owned();
    for &byte in word.as_encoded_bytes() {
        // Nothing fails to be added to a string.
        let _ = match byte {
            b'\\' | b'\'' => write!(text, "\\{}", char::from(byte)),
            b' '..=b'~' => write!(text, "{}", char::from(byte)),
            _ => write!(text, "\\{byte:03o}"),
        };
    }
    text + "'"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_shell_takes_a_word_as_it_is() {
        use std::os::unix::ffi::OsStrExt;

        assert_eq!(word("a-b_c.charlet".as_ref()), "a-b_c.charlet");
        for odd in [
            "it's $x.charlet",
            "a b",
            "~/x",
            "é*",
            "",
            "$(x)`y`\"!",
            "a;b&c|d>e",
        ] {
            assert_eq!(
                shlex::split(&word(odd.as_ref())),
                Some(vec![odd.to_owned()])
            );
        }
        assert_eq!(path(Path::new("-x y")), "'./-x y'");
        assert_eq!(path(Path::new("--")), "./--");
        let odd = OsStr::from_bytes(b"it's\x1b \\\xff\n");
        assert_eq!(word(odd), r"$'it\'s\033 \\\377\012'");
        let shell = std::process::Command::new("bash")
            .args(["-c", &format!("printf %s {}", word(odd))])
            .output();
        // Not everybody has it.
        if let Ok(output) = shell {
            assert_eq!(output.stdout, odd.as_bytes());
        }
    }
}
