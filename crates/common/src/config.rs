//! How the user's configuration is used, key by key.
//!
//! Each component has a table of [`Key`]s. For each key that a user has written, the first rule that fits wins:
//!
//! 1. dangerous or impossible: replaced by a safe value, or refused, and reported;
//! 2. a name that the product ignores: translated to the correct name;
//! 3. managed: set by the controller, and reported if the user's value differs;
//! 4. honoured: passed on as it is;
//! 5. anything else: not passed, and reported with the nearest valid name.
//!
//! The result is plain data: the values to use, and a condition `ConfigHonoured` that lists the settings that are not used as
//! written. Messages name keys and never show values, because a value may be a password.

use std::collections::BTreeMap;

use crate::{
    condition::Statement,
    given,
    message::{as_written, counted},
};

/// How many unknown keys are reported by name, each with the nearest valid name: a ConfigMap can have a hundred thousand keys,
/// and the search takes time from other objects.
const NAMED: usize = 20;

/// How the value of one key is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ruling {
    /// Passed on as it is.
    Honoured,
    /// Passed on as it is, with something that the user should know.
    Remarked(String),
    /// This value is used instead; the text gives the reason.
    Replaced(String, String),
    /// Not used; the text gives the reason and the remedy.
    Refused(String),
    /// Set by the controller. `None`: the user's value is the same; `Some`: it differs, and the text describes the value in use.
    Managed(Option<String>),
    /// The product ignores this name; the value is read as if it had the other name.
    Renamed(&'static str),
    /// Not used here; the text names the place where it belongs.
    Elsewhere(&'static str),
}

/// A key that a component knows.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its name in the ConfigMap.
    pub name: &'static str,
    /// The rule for its value.
    pub rule: fn(&str) -> Ruling,
}

/// The result of reading the user's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The values to use, by their correct names.
    pub values: BTreeMap<&'static str, String>,
    /// Settings that are not used as written, a sentence each.
    pub adapted: Vec<String>,
    /// Settings that were refused, a sentence each.
    pub refused: Vec<String>,
}

impl Reading {
    /// The value to use for a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// The condition `ConfigHonoured`; `source` is where the configuration was found.
    pub fn statement(&self, source: &str) -> Statement {
        Statement::honoured(&format!("{source}: "), &self.refused, &self.adapted, as_written(source))
    }
}

/// Reads the user's configuration by a component's table.
pub fn read(written: &BTreeMap<String, String>, table: &[Key]) -> Reading {
    let mut reading = Reading::default();
    let mut unknown: usize = 0;
    for (name, value) in written {
        if let Some(key) = table.iter().find(|key| key.name == name) {
            match given::clean(value) {
                Ok(cleaned) => {
                    reading.adapted.extend(cleaned.remark.map(|remark| format!("{name} {remark}")));
                    reading.take(key, name, cleaned.text, table);
                }
                Err(wrong) => reading.refused.push(format!("{name} {wrong}")),
            }
        } else if unknown < NAMED {
            unknown += 1;
            let nearest = nearest(name, table).map(|name| format!("; did you mean {name}?")).unwrap_or_default();
            reading.adapted.push(format!("{name} is not a known key and is ignored{nearest}"));
        } else {
            unknown += 1;
        }
    }
    let more = unknown.saturating_sub(NAMED);
    if more > 0 {
        reading.adapted.push(format!("unknown and ignored: {}", counted(more, "more key")));
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
                self.adapted.push(format!("{written_as} is read as {to}, the name that the product reads"));
                if let Some(key) = table.iter().find(|key| key.name == to) {
                    self.take(key, written_as, value, table);
                }
            }
            Ruling::Elsewhere(place) => self.adapted.push(format!("{written_as} {place}")),
        }
    }
}

/// The valid name nearest to an unknown one, if any is similar; a name that ends with the unknown one comes first.
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
    fn dangerous_value_is_replaced_and_reported() {
        let reading = read_one("SECRET", "");
        assert_eq!(reading.get("SECRET"), Some("made"));
        assert_eq!(reading.adapted, ["SECRET is empty; a generated one is used"]);
    }

    #[test]
    fn ignored_name_is_translated_and_its_value_judged() {
        let reading = read_one("OLD_SECRET", "");
        assert_eq!(reading.get("SECRET"), Some("made"));
        assert_eq!(
            reading.adapted,
            [
                "OLD_SECRET is read as SECRET, the name that the product reads",
                "OLD_SECRET is empty; a generated one is used"
            ]
        );
    }

    #[test]
    fn managed_value_is_reported_only_when_it_differs() {
        assert_eq!(read_one("PORT", "1"), Reading::default());
        assert_eq!(read_one("PORT", "2").adapted, ["PORT is decided here: 1"]);
    }

    #[test]
    fn trailing_line_break_is_removed_and_reported() {
        let reading = read_one("PEERNAME", "a\n");
        assert_eq!(reading.get("PEERNAME"), Some("a"));
        assert_eq!(reading.adapted, ["PEERNAME ends with a line break, which is removed"]);
        // What is left is judged, not what was written.
        assert_eq!(read_one("SECRET", "\n").get("SECRET"), Some("made"));
    }

    #[test]
    fn inner_line_break_or_nul_is_refused() {
        for value in ["a\nb", "a\0b", "\u{fffd}"] {
            let reading = read_one("PEERNAME", value);
            assert!(reading.values.is_empty() && reading.refused[0].starts_with("PEERNAME "), "{reading:?}");
        }
    }

    #[test]
    fn nearest_key_is_found_in_any_case() {
        const SMALL: &[Key] = &[Key { name: "erlang-cookie", rule: |_| Ruling::Honoured }];
        assert_eq!(nearest("erlang_cookie", SMALL), Some("erlang-cookie"));
    }

    #[test]
    fn many_unknown_keys_are_counted_and_the_known_one_is_taken() {
        let mut written: BTreeMap<String, String> = (0..50_000).map(|n| (format!("K{n}"), String::new())).collect();
        written.insert("PEERNAME".to_owned(), "a".to_owned());
        let reading = read(&written, TABLE);
        assert_eq!((reading.get("PEERNAME"), reading.adapted.len()), (Some("a"), NAMED + 1));
        assert!(reading.adapted.last().unwrap().ends_with(": 49980 more keys"), "{:?}", reading.adapted.last());
    }

    #[test]
    fn unknown_key_is_named_with_the_nearest_valid_one() {
        let reading = read_one("PEER_NAME", "x");
        assert_eq!(reading.adapted, ["PEER_NAME is not a known key and is ignored; did you mean PEERNAME?"]);
        assert!(reading.values.is_empty());
    }
}
