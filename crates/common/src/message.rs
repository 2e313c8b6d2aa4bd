//! The building blocks of messages to users: commands, counts, and the words of others kept short.

/// A command of `kubectl` in a namespace: `kubectl -n NAMESPACE WORDS`.
pub fn kubectl(namespace: &str, words: &str) -> String {
    format!("kubectl -n {namespace} {words}")
}

/// The command that prints the log of a container; `target` is a pod's name, or `job/NAME` and the like.
pub fn logs(namespace: &str, target: &str, container: &str) -> String {
    kubectl(namespace, &format!("logs {target} -c {container}"))
}

/// The command that prints the log of the container before its last restart.
pub fn previous_logs(namespace: &str, pod: &str, container: &str) -> String {
    kubectl(namespace, &format!("logs {pod} -c {container} --previous"))
}

/// A number with its noun: `1 change`, `3 changes`.
pub fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// The words of others on one line of at most `most` characters, without control characters.
pub fn shortened(words: &str, most: usize) -> String {
    let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let plain = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    match plain.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", plain[..end].trim_end()),
        None => plain,
    }
}

/// The first names of a list, and how many more there are.
pub fn listed(names: &[String], most: usize) -> String {
    let shown = names.iter().take(most).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_no_plural() {
        assert_eq!(
            [counted(0, "change"), counted(1, "change"), counted(2, "change")],
            ["0 changes", "1 change", "2 changes"]
        );
    }

    #[test]
    fn words_of_others_stay_on_one_short_line() {
        assert_eq!(shortened("a\n\u{1b}[31mb\t c", 20), "a [31mb c");
        assert_eq!(shortened(&"ü".repeat(9), 3), "üüü…");
    }

    #[test]
    fn a_long_list_ends_with_a_count() {
        let names = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(listed(&names, 3), "a, b, c");
        assert_eq!(listed(&names, 1), "a and 2 more");
    }
}
