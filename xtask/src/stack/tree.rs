//! The stack as text: controllers, and the tree of components in each namespace.
//!
//! ```text
//! controllers
//!   database-controller           0.1.0      1 of 1 available
//!
//! default
//!   Temporal temporal             not Ready  DependencyNotReady  for 2m
//!     waits for PostgresDatabase/temporal
//!   ├─ PostgresDatabase temporal  Stalled    NoStorageClass      for 2m
//!   │    name a class in spec.provider.postgres.storage.storageClassName
//!   └─ MessageQueue temporal      Ready      Verified            for 1m
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;

use k8s_openapi::jiff::Timestamp;

use super::component::{Component, Id, Word};
use super::snapshot::{Deployed, Snapshot};

/// A line of the tree, and the notes below it.
#[derive(Debug)]
struct Line {
    /// A kind and a name, after the branch of the tree.
    label: String,
    cells: [String; 3],
    /// The prefix of the notes.
    indent: String,
    notes: Vec<String>,
}

/// The whole text.
pub fn text(snapshot: &Snapshot, now: Timestamp) -> String {
    let controllers: Vec<Line> = snapshot.controllers.iter().map(controller).collect();
    let mut sections = vec![("controllers", controllers)];
    let namespaces: BTreeSet<&str> = snapshot.components.iter().map(|one| one.id.namespace.as_str()).collect();
    sections.extend(namespaces.iter().map(|namespace| (*namespace, lines(snapshot, namespace, now))));
    let all = || sections.iter().flat_map(|(_, lines)| lines);
    let widths = widths(all());
    let sections = sections.iter().map(|(title, lines)| format!("{title}\n{}", print(lines, widths)));
    sections.collect::<Vec<_>>().join("\n")
}

/// The components of one namespace.
pub fn components(snapshot: &Snapshot, namespace: &str, now: Timestamp) -> String {
    let lines = lines(snapshot, namespace, now);
    print(&lines, widths(lines.iter()))
}

fn controller(controller: &Deployed) -> Line {
    let cells = match &controller.deployment {
        None => ["–".to_owned(), "not installed".to_owned(), String::new()],
        Some(found) => {
            [found.version.clone(), format!("{} of {} available", found.available, found.wanted), String::new()]
        }
    };
    Line { label: controller.program.to_owned(), cells, indent: String::new(), notes: Vec::new() }
}

/// Components without a referrer, each with its references below it.
fn lines(snapshot: &Snapshot, namespace: &str, now: Timestamp) -> Vec<Line> {
    let all = || snapshot.components.iter().filter(|component| component.id.namespace == namespace);
    let referred: BTreeSet<&Id> = all().flat_map(|component| &component.refers_to).collect();
    let mut roots: Vec<&Component> = all().filter(|component| !referred.contains(&component.id)).collect();
    // Components with references first.
    roots.sort_by_key(|component| component.refers_to.is_empty());
    let mut lines = Vec::new();
    for root in roots {
        lines.push(line(root, "", "  ", now));
        let last = root.refers_to.len().saturating_sub(1);
        for (number, id) in root.refers_to.iter().enumerate() {
            let (branch, indent) = if number == last { ("└─ ", "     ") } else { ("├─ ", "│    ") };
            match snapshot.component(id) {
                Some(component) => lines.push(line(component, branch, indent, now)),
                None => lines.push(missing(id, branch)),
            }
        }
    }
    lines
}

fn line(component: &Component, branch: &str, indent: &str, now: Timestamp) -> Line {
    let state = &component.state;
    let since = state.since.map(|since| format!("for {}", age(now.duration_since(since).as_secs())));
    let mut notes = Vec::new();
    if state.word != Word::Ready {
        notes.push(state.message.clone());
    }
    let note = |kind: &str, status: &str, message: &str| format!("{kind} is {status}: {message}");
    notes.extend(component.abnormal.iter().map(|one| note(&one.type_, &one.status, &one.message)));
    Line {
        label: format!("{branch}{} {}", component.id.kind, component.id.name),
        cells: [state.word.to_string(), state.reason.clone(), since.unwrap_or_default()],
        indent: indent.to_owned(),
        notes,
    }
}

fn missing(id: &Id, branch: &str) -> Line {
    let cells = ["not found".to_owned(), "Missing".to_owned(), String::new()];
    Line { label: format!("{branch}{} {}", id.kind, id.name), cells, indent: String::new(), notes: Vec::new() }
}

fn widths<'a>(lines: impl Iterator<Item = &'a Line>) -> [usize; 3] {
    lines.fold([0; 3], |[label, first, second], line| {
        let width = |text: &str| text.chars().count();
        [label.max(width(&line.label)), first.max(width(&line.cells[0])), second.max(width(&line.cells[1]))]
    })
}

fn print(lines: &[Line], [label, first, second]: [usize; 3]) -> String {
    let mut text = String::new();
    for Line { label: name, cells: [one, two, three], indent, notes } in lines {
        let line = format!("  {name:<label$}  {one:<first$}  {two:<second$}  {three}");
        // Writing to a String cannot fail.
        writeln!(text, "{}", line.trim_end()).ok();
        for note in notes {
            writeln!(text, "  {indent}{note}").ok();
        }
    }
    text
}

/// An age in one unit, as kubectl prints it.
fn age(seconds: i64) -> String {
    match seconds.max(0) {
        seconds @ ..120 => format!("{seconds}s"),
        seconds @ ..7200 => format!("{}m", seconds / 60),
        seconds @ ..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    #[test]
    fn ready_component_is_one_line() {
        let expected = "
  Temporal temporal             Ready  Verified  for 3m
  ├─ PostgresDatabase temporal  Ready  Verified  for 3m
  ├─ MessageQueue temporal      Ready  Verified  for 3m
  └─ IpfsCluster temporal       Ready  Verified  for 3m
";
        let text = components(&fixture::all_ready(), "default", fixture::now());
        assert_eq!(text, expected.trim_start_matches('\n'));
    }

    #[test]
    fn controllers_come_first_with_their_versions() {
        let text = text(&fixture::all_ready(), fixture::now());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["controllers", "  database-controller           0.1.0  1 of 1 available"]);
        assert!(lines.contains(&"default"), "{text}");
    }

    #[test]
    fn component_that_is_not_ready_has_its_message_below() {
        let expected = "
  Temporal temporal             not Ready  DependencyNotReady  for 3m
    waits for PostgresDatabase/temporal
  ├─ PostgresDatabase temporal  Stalled    NoStorageClass      for 3m
  │    there is no default StorageClass; name a class in spec.provider.postgres.storage.storageClassName
  ├─ MessageQueue temporal      Ready      Verified            for 3m
  │    QuorumSafe is False: no node may go
  └─ IpfsCluster temporal       Ready      Verified            for 3m
";
        let text = components(&fixture::database_stalled(), "default", fixture::now());
        assert_eq!(text, expected.trim_start_matches('\n'));
    }

    #[test]
    fn absent_controller_has_a_line() {
        let text = text(&fixture::controller_absent(), fixture::now());
        assert!(text.contains("  database-controller           –          not installed\n"), "{text}");
    }

    #[test]
    fn missing_reference_has_a_line() {
        let mut snapshot = fixture::database_stalled();
        snapshot.components.retain(|component| component.id.kind != "PostgresDatabase");
        let text = components(&snapshot, "default", fixture::now());
        assert!(text.contains("├─ PostgresDatabase temporal  not found  Missing"), "{text}");
    }

    #[test]
    fn empty_cluster_has_no_controller_installed() {
        let text = text(&fixture::nothing(), fixture::now());
        assert!(text.lines().skip(1).all(|line| line.ends_with("not installed")), "{text}");
    }

    #[test]
    fn age_has_one_unit() {
        let ages: Vec<String> = [-3, 119, 120, 7200, 172_800].into_iter().map(age).collect();
        assert_eq!(ages, ["0s", "119s", "2m", "2h", "2d"]);
    }
}
