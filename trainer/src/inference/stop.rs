//! Stop strings.

/// Characters up to and including the first for which a predicate holds.
///
/// A limit to their number is [`Iterator::take`].
///
/// ```
/// use charlet_trainer::inference::stop::{StopStrings, Until};
///
/// let text = |stop: &str, length| -> String {
///     let mut stop = StopStrings::new([stop]);
///     Until::new("so it ends. and on".chars(), move |char| stop.is_complete(char))
///         .take(length)
///         .collect()
/// };
/// assert_eq!(text(". ", 100), "so it ends. ");
/// assert_eq!(text(". ", 5), "so it");
/// ```
#[derive(Clone, Debug)]
pub struct Until<I, P> {
    chars: I,
    is_last: P,
    has_ended: bool,
}

impl<I: Iterator<Item = char>, P: FnMut(char) -> bool> Until<I, P> {
    /// Ends with the first character for which `is_last` holds.
    pub fn new(chars: I, is_last: P) -> Self {
        Self {
            chars,
            is_last,
            has_ended: false,
        }
    }
}

impl<I: Iterator<Item = char>, P: FnMut(char) -> bool> Iterator for Until<I, P> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        if self.has_ended {
            return None;
        }
        let char = self.chars.next()?;
        self.has_ended = (self.is_last)(char);
        Some(char)
    }
}

/// Finds stop strings in a text that arrives character by character.
#[derive(Clone, Debug, Default)]
pub struct StopStrings {
    stops: Vec<String>,
    /// The end of the text, as long as the longest string needs.
    tail: String,
}

impl StopStrings {
    /// Looks for these strings; an empty one never appears.
    pub fn new<S: Into<String>>(stops: impl IntoIterator<Item = S>) -> Self {
        let stops = stops.into_iter().map(Into::into);
        Self {
            stops: stops.filter(|stop: &String| !stop.is_empty()).collect(),
            tail: String::new(),
        }
    }

    /// Whether a string is complete with the text's next character.
    pub fn is_complete(&mut self, next: char) -> bool {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        self.tail.push(next);
        while self.tail.len() > longest {
            self.tail.remove(0);
        }
        self.stops.iter().any(|stop| self.tail.ends_with(stop))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn until(text: &str, stops: &[&str]) -> String {
        let mut stops = StopStrings::new(stops.iter().copied());
        Until::new(text.chars(), |char| stops.is_complete(char)).collect()
    }

    #[test]
    fn it_ends_with_the_first_string_that_appears() {
        assert_eq!(until("one two three", &["t"]), "one t");
        assert_eq!(until("one two three", &["three", "two"]), "one two");
        assert_eq!(until("one two", &["four"]), "one two");
        assert_eq!(until("one two", &[]), "one two");
        assert_eq!(until("one two", &[""]), "one two");
    }

    #[test]
    fn a_string_may_begin_in_its_own_failed_beginning() {
        assert_eq!(until("xaaab", &["aab"]), "xaaab");
        assert_eq!(until("ababac!", &["abac"]), "ababac");
        assert_eq!(until("\n\r\n\n.", &["\n\n"]), "\n\r\n\n");
    }

    #[test]
    fn characters_of_several_bytes_are_compared_whole() {
        assert_eq!(until("größe süß", &["ß"]), "größ");
        assert_eq!(until("日本語の本", &["本語"]), "日本語");
        // é ends with the byte that © ends with.
        assert_eq!(until("é©.", &["©"]), "é©");
    }

    #[test]
    fn what_has_ended_takes_nothing_more_from_its_source() {
        let mut chars = "abc".chars();
        let mut text = Until::new(chars.by_ref(), |char| char == 'a');
        assert_eq!(
            (text.next(), text.next(), text.next()),
            (Some('a'), None, None)
        );
        assert_eq!(chars.as_str(), "bc");
    }
}
