//! What becomes of the user's configuration, key by key.
//!
//! Each component has a table of [`Key`]s. For each key that a user has written, the first rule that fits wins:
//!
//! 1. dangerous or impossible: replaced by a safe value, or refused, and said;
//! 2. named so that the product ignores it: translated to the name that works;
//! 3. managed: set by the controller, and said when the user's value differs;
//! 4. honoured: passed on as it is;
//! 5. anything else: not passed, and named with the nearest valid name.
//!
//! The result is plain data: the values to use, and a condition `ConfigHonoured` that lists what was not taken as written.
//! Messages name keys and never show values, because a value may be a password.

use std::collections::BTreeMap;

use crate::{
    condition::{CONFIG_HONOURED, Statement, reason},
    given,
};

/// What becomes of the value of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Passed on as it is.
    Honoured,
    /// Passed on as it is, with something that the user should know.
    Remarked(String),
    /// This value is used instead; the text says why.
    Replaced(String, String),
    /// Not used; the text says why, and what the user must do.
    Refused(String),
    /// The controller decides it. `None`: the user's value says the same; `Some`: it says something else, and the text says
    /// what holds instead.
    Managed(Option<String>),
    /// The product ignores this name; it is read as if it stood under the other one.
    Renamed(&'static str),
    /// Of no use here; the text says where it belongs.
    Elsewhere(&'static str),
}

/// A key that a component knows.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the ConfigMap.
    pub name: &'static str,
    /// What becomes of a value.
    pub rule: fn(&str) -> Ruling,
}

/// What was read from the user's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The values to use, by the name that works.
    pub values: BTreeMap<&'static str, String>,
    /// What was not taken as written, a sentence each.
    pub adapted: Vec<String>,
    /// What was refused, a sentence each.
    pub refused: Vec<String>,
}

impl Reading {
    /// The value to use for a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The condition `ConfigHonoured`; `source` says where the configuration stands.
    pub fn statement(&self, source: &str) -> Statement {
        let list = |texts: &[String]| texts.join("; ");
        if !self.refused.is_empty() {
            let message = format!("{source}: {}", list(&[&self.refused[..], &self.adapted[..]].concat()));
            return Statement::fails(CONFIG_HONOURED, reason::REFUSED, message);
        }
        if !self.adapted.is_empty() {
            let message = format!("{source}: {}", list(&self.adapted));
            return Statement::holds(CONFIG_HONOURED, reason::ADAPTED, message);
        }
        Statement::holds(CONFIG_HONOURED, reason::AS_WRITTEN, format!("{source} was taken as it is written"))
    }
}

/// Reads the user's configuration by a component's table.
pub fn read(written: &BTreeMap<String, String>, table: &[Key]) -> Reading {
    let mut reading = Reading::default();
    for (name, value) in written {
        if let Some(key) = table.iter().find(|key| key.name == name) {
            match given::clean(value) {
                Ok(cleaned) => {
                    reading.adapted.extend(cleaned.remark.map(|remark| format!("{name} {remark}")));
                    reading.take(key, name, cleaned.text, table);
                }
                Err(wrong) => reading.refused.push(format!("{name} {wrong}")),
            }
        } else {
            let nearest = nearest(name, table).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            reading.adapted.push(format!("{name} is not a key of this component and is not used{nearest}"));
        }
    }
    reading
}

impl Reading {
    fn take(&mut self, key: &Key, written_as: &str, value: &str, table: &[Key]) {
        match (key.rule)(value) {
            Ruling::Honoured => {
                self.values.insert(key.name, value.to_owned());
            }
            Ruling::Remarked(remark) => {
                self.values.insert(key.name, value.to_owned());
                self.adapted.push(format!("{written_as} {remark}"));
            }
            Ruling::Replaced(with, why) => {
                self.values.insert(key.name, with);
                self.adapted.push(format!("{written_as} {why}"));
            }
            Ruling::Refused(why) => self.refused.push(format!("{written_as} {why}")),
            Ruling::Managed(None) => {}
            Ruling::Managed(Some(instead)) => self.adapted.push(format!("{written_as} {instead}")),
            Ruling::Renamed(to) => {
                self.adapted.push(format!("{written_as} is read as {to}, the name that works"));
                if let Some(key) = table.iter().find(|key| key.name == to) {
                    self.take(key, written_as, value, table);
                }
            }
            Ruling::Elsewhere(place) => self.adapted.push(format!("{written_as} {place}")),
        }
    }
}

/// The valid name that is most like an unknown one, if any is at all: one that says where it belongs before all others.
fn nearest<'a>(name: &str, table: &'a [Key]) -> Option<&'a str> {
    let whole = format!("_{}", name.to_uppercase());
    if let Some(key) = table.iter().find(|key| name.contains('_') && key.name.to_uppercase().ends_with(&whole)) {
        return Some(key.name);
    }
    table
        .iter()
        .map(|key| (strsim::jaro_winkler(&name.to_uppercase(), &key.name.to_uppercase()), key.name))
        .filter(|(likeness, _)| *likeness > 0.85)
        .max_by(|(left, _), (right, _)| left.total_cmp(right))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[Key] = &[
        Key { name: "PEERNAME", rule: |_| Ruling::Honoured },
        Key {
            name: "SECRET",
            rule: |value| {
                if value.is_empty() {
                    Ruling::Replaced("made".to_owned(), "is empty; a generated one is used".to_owned())
                } else {
                    Ruling::Honoured
                }
            },
        },
        Key { name: "PORT", rule: |value| Ruling::Managed((value != "1").then(|| "is decided here: 1".to_owned())) },
        Key { name: "OLD_SECRET", rule: |_| Ruling::Renamed("SECRET") },
    ];

    fn read_one(key: &str, value: &str) -> Reading {
        read(&BTreeMap::from([(key.to_owned(), value.to_owned())]), TABLE)
    }

    #[test]
    fn a_dangerous_value_is_replaced_and_said() {
        let reading = read_one("SECRET", "");
        assert_eq!(reading.get("SECRET"), Some("made"));
        assert_eq!(reading.adapted, ["SECRET is empty; a generated one is used"]);
    }

    #[test]
    fn a_name_that_does_not_work_is_translated_and_its_value_judged() {
        let reading = read_one("OLD_SECRET", "");
        assert_eq!(reading.get("SECRET"), Some("made"));
        assert_eq!(
            reading.adapted,
            ["OLD_SECRET is read as SECRET, the name that works", "OLD_SECRET is empty; a generated one is used"]
        );
    }

    #[test]
    fn a_managed_value_is_mentioned_only_when_it_differs() {
        assert_eq!(read_one("PORT", "1"), Reading::default());
        assert_eq!(read_one("PORT", "2").adapted, ["PORT is decided here: 1"]);
    }

    #[test]
    fn a_line_break_at_the_end_of_a_value_is_left_out_and_said() {
        let reading = read_one("PEERNAME", "a\n");
        assert_eq!(reading.get("PEERNAME"), Some("a"));
        assert_eq!(reading.adapted, ["PEERNAME ends with a line break, which is left out"]);
        // What is left is judged, not what was written.
        assert_eq!(read_one("SECRET", "\n").get("SECRET"), Some("made"));
    }

    #[test]
    fn a_value_with_a_line_break_or_nul_within_is_refused() {
        for value in ["a\nb", "a\0b", "\u{fffd}"] {
            let reading = read_one("PEERNAME", value);
            assert!(reading.values.is_empty() && reading.refused[0].starts_with("PEERNAME "), "{reading:?}");
        }
    }

    #[test]
    fn the_nearest_key_may_be_written_small() {
        const SMALL: &[Key] = &[Key { name: "erlang-cookie", rule: |_| Ruling::Honoured }];
        assert_eq!(nearest("erlang_cookie", SMALL), Some("erlang-cookie"));
    }

    #[test]
    fn an_unknown_key_is_named_with_the_nearest_valid_one() {
        let reading = read_one("PEER_NAME", "x");
        assert_eq!(
            reading.adapted,
            ["PEER_NAME is not a key of this component and is not used; did you mean PEERNAME?"]
        );
        assert!(reading.values.is_empty());
    }
}
