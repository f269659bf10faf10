//! Stop strings.

/// Finds stop strings in a text that arrives character by character.
///
/// ```
/// use charlet_trainer::inference::stop::StopStrings;
///
/// let mut stops = StopStrings::new([". "]);
/// let end = "so it ends. and on".chars().position(|char| stops.is_complete(char));
/// assert_eq!(end, Some(11));
/// ```
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
        let end = text.chars().position(|char| stops.is_complete(char));
        let length = end.map_or(usize::MAX, |end| end + 1);
        text.chars().take(length).collect()
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
}
