//! All messages to users: one page with their templates, to be reviewed as a whole.
//!
//! Every literal of the production code that is prose counts, wherever it is used, so that none is missed; the code around it
//! decides its heading.

mod collect;
mod compared;
mod context;
mod prose;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use anyhow::Result;

use super::reasons::Crates;
use crate::source::{self, Files, Module};

const HEAD: &str = "<!-- Written by `cargo xtask codegen`; edit the sources instead. -->

# Messages

Every message that a user can see, as a template: braces mark placeholders. A word before a message is the reason of the condition or
event, where the source has one beside the message.
";

/// Where a user sees a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Section {
    Conditions,
    Events,
    Refusals,
    Errors,
    Bridge,
    Steps,
    Output,
    CommandErrors,
    Logs,
    Metrics,
    Help,
}

/// Modules of xtask with messages for developers only.
const OF_DEVELOPERS: &[&str] = &["bench", "codegen", "source", "structure", "test"];

impl Section {
    fn title(self) -> &'static str {
        match self {
            Self::Conditions => "Conditions",
            Self::Events => "Events",
            Self::Refusals => "Refusals of the API server",
            Self::Errors => "Errors of controllers",
            Self::Bridge => "Answers and errors of the bridge",
            Self::Steps => "Command line: steps",
            Self::Output => "Command line: questions and output",
            Self::CommandErrors => "Command line: errors",
            Self::Logs => "Logs",
            Self::Metrics => "Metrics",
            Self::Help => "Help",
        }
    }

    fn about(self) -> &'static str {
        match self {
            Self::Conditions => "In the conditions of custom resources, whole or as a part of a longer message.",
            Self::Events => {
                "In events beside the custom resources. A transition of Ready has the message of the condition."
            }
            Self::Refusals => "When a custom resource is written that breaks a rule of its kind.",
            Self::Errors => {
                "In a condition with the reason `ReconcileError`, as a chain of causes with colons between them, and in logs."
            }
            Self::Bridge => "In answers to Temporal, and when the bridge starts.",
            Self::Steps => "`cargo xtask` prints a line for each step.",
            Self::Output => "Other output of `cargo xtask`.",
            Self::CommandErrors => "When `cargo xtask` fails, as a chain of causes.",
            Self::Logs => "In the logs of controllers and of the bridge.",
            Self::Metrics => "The help texts in `/metrics`.",
            Self::Help => "The first line of a controller's `--help`.",
        }
    }
}

/// A template, with the reason beside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Message {
    reason: Option<String>,
    text: String,
}

/// The messages of a section: by crate and file.
type Page = BTreeMap<Section, BTreeMap<(String, String), BTreeSet<Message>>>;

/// The page.
pub(super) fn page(files: &Files, crates: &Crates) -> Result<String> {
    Ok(written(&messages(files, crates)?))
}

/// All messages.
fn messages(files: &Files, crates: &Crates) -> Result<Page> {
    let mut page = Page::new();
    for (name, modules) in crates.modules() {
        add(name, modules, &crates.words(name), &mut page);
    }
    let mut xtask = source::modules(files, Path::new("xtask"))?;
    xtask.retain(|module| !module.path.first().is_some_and(|first| OF_DEVELOPERS.contains(&first.as_str())));
    add("xtask", &xtask, &BTreeMap::new(), &mut page);
    Ok(page)
}

fn add(name: &str, modules: &[Module], reasons: &BTreeMap<&str, &str>, page: &mut Page) {
    for module in modules {
        let file = module.file.strip_prefix(Path::new("crates").join(name).join("src"));
        let file = file.unwrap_or(&module.file).display().to_string();
        for (section, message) in collect::messages(&module.syntax, name, reasons) {
            let place = page.entry(section).or_default().entry((name.to_owned(), file.clone()));
            place.or_default().insert(message);
        }
    }
}

fn written(page: &Page) -> String {
    let mut text = HEAD.to_owned();
    for (section, places) in page {
        let _ = write!(text, "\n## {}\n\n{}\n", section.title(), section.about());
        let mut last = "";
        for ((name, file), messages) in places {
            if name != last && name != "xtask" {
                let _ = write!(text, "\n### {name}\n");
            }
            last = name;
            let _ = write!(text, "\n{file}\n\n");
            for Message { reason, text: message } in messages {
                let reason = reason.as_ref().map(|reason| format!("`{reason}` ")).unwrap_or_default();
                let _ = writeln!(text, "- {reason}{}", prose::escaped(message));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::place;
    use crate::source::tests::files;

    /// The commands of a message of a controller that lack what they need: a namespace, unless they are about an object of the
    /// cluster; and a container, for a log and a program.
    fn incomplete(text: &str) -> Vec<&str> {
        // What follows the word begins with the verb; parts of `message::kubectl`, which adds the namespace, begin with it at once.
        let whole = text.split("kubectl ").skip(1).map(|command| (command, true));
        let part = ["exec ", "logs "].iter().any(|verb| text.starts_with(verb)).then_some((text, false));
        let commands = whole.chain(part).map(|(command, is_whole)| {
            let end = command.find([';', '|', '&']).unwrap_or(command.len());
            (command[..end].trim(), is_whole)
        });
        let is_incomplete = |(command, is_whole): &(&str, bool)| {
            let of_cluster = ["patch pv ", "label namespace ", "apply -f -"];
            let is_of_cluster = of_cluster.iter().any(|begin| command.starts_with(begin));
            let needs_container = ["exec ", "logs "].iter().any(|verb| command.starts_with(verb));
            let has_namespace = ["-n ", "-A "].iter().any(|option| command.contains(option));
            (*is_whole && !is_of_cluster && !has_namespace) || (needs_container && !command.contains(" -c "))
        };
        commands.filter(is_incomplete).map(|(command, _)| command).collect()
    }

    #[test]
    fn command_without_a_namespace_or_container_is_found() {
        for good in [
            "see kubectl -n {} describe pod x",
            "kubectl patch pv {volume} --patch '{}'; then kubectl exec -n {} x -c y -- z > {}.sql",
            "kubectl get pods -A -l app=x",
            "exec {} -c rabbitmq -- rabbitmqctl status",
            "kubectl create secret x -n {} -o yaml | kubectl apply -f - && kubectl annotate x -n {}",
            "{}: no kubectl",
        ] {
            assert_eq!(incomplete(good), [] as [&str; 0], "{good}");
        }
        for (wrong, command) in [
            ("see kubectl describe pod x; or not", "describe pod x"),
            ("kubectl -n {} get x && kubectl get y", "get y"),
            ("kubectl exec -n {} x -- z", "exec -n {} x -- z"),
            ("logs {pod}", "logs {pod}"),
        ] {
            assert_eq!(incomplete(wrong), [command], "{wrong}");
        }
    }

    #[test]
    fn commands_of_messages_name_namespace_and_container() {
        let files = source::read(place::workspace(), &["crates", "xtask"], &["rs"]).unwrap();
        let page = messages(&files, &Crates::parse(&files).unwrap()).unwrap();
        let of_objects = [Section::Conditions, Section::Events, Section::Refusals, Section::Errors];
        let texts = of_objects.iter().filter_map(|section| page.get(section)).flat_map(BTreeMap::values).flatten();
        // A probe's script is no command for users.
        let texts: Vec<&str> =
            texts.map(|message| message.text.as_str()).filter(|text| !text.contains("/dev/tcp")).collect();
        assert!(texts.iter().filter(|text| text.contains("kubectl ")).count() > 5, "{texts:?}");
        let wrong: Vec<&str> = texts.iter().flat_map(|text| incomplete(text)).collect();
        assert!(wrong.is_empty(), "add the namespace and the container: {wrong:#?}");
    }

    /// Nouns that `message::counted` takes.
    const COUNTED: [&str; 11] =
        ["calls", "changes", "pins", "objects", "keys", "copies", "peers", "queues", "volumes", "pods", "files"];

    /// Whether a placeholder stands before a plural, which is wrong for one: "1 calls". "1 of {} pods" is right for any number.
    fn has_plural_of_one(text: &str) -> bool {
        text.match_indices('}').any(|(end, _)| {
            let Some((before, name)) = text[..end].rsplit_once('{') else { return false };
            let is_placeholder = name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            let rest = text[end + 1..].strip_prefix(' ').unwrap_or_default();
            let rest = rest.strip_prefix("more ").unwrap_or(rest);
            let noun = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            is_placeholder && !before.ends_with("of ") && COUNTED.contains(&noun)
        })
    }

    #[test]
    fn numbers_are_counted_with_their_noun() {
        for wrong in ["{calls} calls were cut off", "a; {} more keys", "{count_of} pods, and"] {
            assert!(has_plural_of_one(wrong), "{wrong}");
        }
        for good in ["{} cut off", "{ready} of {wanted} pods ready", "{Kind} objects", "{}s pods", "{more} podsy", "}}"]
        {
            assert!(!has_plural_of_one(good), "{good}");
        }
        let files = source::read(place::workspace(), &["crates", "xtask"], &["rs"]).unwrap();
        let page = messages(&files, &Crates::parse(&files).unwrap()).unwrap();
        let places = page.values().flatten();
        let texts = places.flat_map(|(_, messages)| messages).map(|message| message.text.as_str());
        let wrong: Vec<&str> = texts.filter(|text| has_plural_of_one(text)).collect();
        assert!(wrong.is_empty(), "use message::counted: {wrong:#?}");
    }

    #[test]
    fn page_has_each_message_once_under_its_heading() {
        let files = files(&[
            (
                "crates/lamp/src/lib.rs",
                "const DARK: Reason = Reason::new(\"Dark\");
                fn a() { Progress::Waiting { reason: DARK, message: format!(\"{lamp} is dark: <switch> it on\") }; }
                fn b() { Progress::Waiting { reason: DARK, message: format!(\"{lamp} is dark: <switch> it on\") }; }",
            ),
            ("xtask/src/lib.rs", "fn a() { bail!(\"no lamp is lit\"); }"),
        ]);
        let page = page(&files, &Crates::parse(&files).unwrap()).unwrap();
        let expected = "
## Conditions

In the conditions of custom resources, whole or as a part of a longer message.

### lamp

lib.rs

- `Dark` {lamp} is dark: \\<switch> it on

## Command line: errors

When `cargo xtask` fails, as a chain of causes.

xtask/src/lib.rs

- no lamp is lit
";
        assert_eq!(page.strip_prefix(HEAD), Some(expected), "{page}");
    }
}
