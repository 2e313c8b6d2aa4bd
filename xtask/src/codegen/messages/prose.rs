//! Distinguishes prose from statements, settings and paths that programs read.

/// The beginnings of SQL statements, case-insensitive.
const SQL: &[&str] = &[
    "alter ",
    "begin",
    "comment on ",
    "create role",
    "create database",
    "create schema",
    "create table",
    "drop owned",
    "drop role",
    "drop database",
    "grant ",
    "insert into ",
    "reassign owned",
    "revoke ",
    "select ",
    "set session",
    "set local",
    "set role",
    "update ",
    "with ",
];
/// Parts of scripts, queries and headers that no message contains.
const OF_PROGRAMS: &[&str] = &[
    "#!/",
    "set -eu",
    "; exec ",
    "+sbwt ",
    "jsonpath=",
    "; version=",
    "; charset=",
    "; boundary=",
    "-----BEGIN",
    "apiVersion",
    "HTTP/1.1",
    "Content-Disposition",
    "deb {",
    "$(ORIGIN)",
    "Created-By",
    "umask ",
    "exec 3<>",
];

/// Whether a literal is for people to read: it has at least two words.
pub(super) fn is_prose(text: &str) -> bool {
    let lower = text.trim_start().to_lowercase();
    if SQL.iter().any(|begin| lower.starts_with(begin)) || OF_PROGRAMS.iter().any(|part| text.contains(part)) {
        return false;
    }
    let words = text.split_whitespace().filter(|word| is_word(word)).count();
    words >= 2 && !is_setting(text)
}

/// A word, maybe with a punctuation mark.
fn is_word(word: &str) -> bool {
    let word = word.trim_matches(|c: char| c.is_ascii_punctuation() && c != '{' && c != '}');
    word.len() > 1 && word.chars().all(|c| c.is_ascii_alphabetic() || c == '\'' || c == '-')
}

/// A line `key = value`.
fn is_setting(text: &str) -> bool {
    let key = text.split_once(" = ").map(|(key, _)| key.trim());
    key.is_some_and(|key| !key.is_empty() && !key.contains(char::is_whitespace))
}

/// A template escaped for Markdown, on one line.
pub(super) fn escaped(text: &str) -> String {
    let line = text.trim().lines().map(str::trim).collect::<Vec<_>>().join(" ⏎ ");
    line.replace('<', "\\<").replace('*', "\\*")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_prose() {
        for text in ["{} is not Ready: {}", "no such key", "the pod {pod} has ended", " within {seconds} s, as always"]
        {
            assert!(is_prose(text), "{text}");
        }
    }

    #[test]
    fn input_of_programs_is_no_prose() {
        for text in [
            "Ready",
            "application/json",
            "{}/{}",
            "SELECT name FROM users",
            "select session_user",
            "#!/bin/sh\nexec the program",
            "listeners.tcp.default = all of them",
            "text/plain; version=0.0.4; charset=utf-8",
            "apiVersion: v1\nkind: Config",
            "a b",
            "umask 027 && mkdir -p {FOLDER} and others",
            "exec 3<> \"/dev/tcp/localhost/$0\" && read answer",
        ] {
            assert!(!is_prose(text), "{text}");
        }
    }

    #[test]
    fn lines_are_joined_and_markup_is_escaped() {
        assert_eq!(escaped("one *line*\n  and <another>\n"), "one \\*line\\* ⏎ and \\<another>");
    }
}
