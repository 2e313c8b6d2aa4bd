//! The building blocks of messages to users: commands, counts, and shortened text of other programs.

use std::fmt;

/// A command of `kubectl` in a namespace: `kubectl -n NAMESPACE WORDS`.
pub fn kubectl(namespace: &str, words: &str) -> String {
    format!("kubectl -n {namespace} {words}")
}

/// The command that prints the log of a container; `target` is a pod's name, or `job/NAME` and the like.
pub fn logs(namespace: &str, target: &str, container: &str) -> String {
    kubectl(namespace, &format!("logs {target} -c {container}"))
}

/// The command that prints the log of the container before its last restart.
pub(crate) fn previous_logs(namespace: &str, pod: &str, container: &str) -> String {
    kubectl(namespace, &format!("logs {pod} -c {container} --previous"))
}

/// The message about a source of configuration of which nothing was changed or refused.
pub fn as_written(source: &str) -> String {
    format!("{source} is used as written")
}

/// A number with its noun: `1 change`, `3 changes`, `3 copies`.
pub fn counted<N: fmt::Display + PartialEq + From<u8> + Copy>(count: N, noun: &str) -> String {
    if count == N::from(1) {
        return format!("{count} {noun}");
    }
    match noun.strip_suffix('y') {
        Some(stem) if !stem.ends_with(['a', 'e', 'o', 'u']) => format!("{count} {stem}ies"),
        _ => format!("{count} {noun}s"),
    }
}

/// Text of other programs on one line of at most `most` characters, without control characters.
pub(crate) fn shortened(words: &str, most: usize) -> String {
    let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    match plain.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", plain[..end].trim_end()),
        None => plain,
    }
}

/// The first names of a list, and the number of the others.
pub fn listed(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The first sentences of a list, and how many more there are.
pub fn capped(mut sentences: Vec<String>, most: usize) -> Vec<String> {
    let more = sentences.len().saturating_sub(most);
    if more > 0 {
        sentences.truncate(most);
        sentences.push(format!("and {more} more"));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn count_of_one_is_singular() {
        assert_eq!(
            [counted(0, "change"), counted(1, "change"), counted(2, "change")],
            ["0 changes", "1 change", "2 changes"]
        );
        assert_eq!([counted(1_u64, "copy"), counted(2, "copy"), counted(2, "key")], ["1 copy", "2 copies", "2 keys"]);
    }

    #[test]
    fn foreign_text_is_shortened_to_one_line() {
        assert_eq!(shortened("a\n\u{1b}[31mb\t c", 20), "a [31mb c");
        assert_eq!(shortened(&"ü".repeat(9), 3), "üüü…");
    }

    #[test]
    fn long_list_ends_with_a_count() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(listed(&names, 3), "a, b, c");
        assert_eq!(listed(&names, 1), "a and 2 more");
    }
}
