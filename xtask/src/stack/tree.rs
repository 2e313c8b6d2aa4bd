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

/// A line of the tree, and what is said below it.
#[derive(Debug)]
struct Row {
    /// A kind and a name behind what leads there.
    label: String,
    cells: [String; 3],
    /// What leads to lines below it.
    indent: String,
    notes: Vec<String>,
}

/// All of it.
pub fn text(snapshot: &Snapshot, now: Timestamp) -> String {
    let controllers: Vec<Row> = snapshot.controllers.iter().map(controller).collect();
    let mut sections = vec![("controllers", controllers)];
    let namespaces: BTreeSet<&str> = snapshot.components.iter().map(|one| one.id.namespace.as_str()).collect();
    sections.extend(namespaces.iter().map(|namespace| (*namespace, rows(snapshot, namespace, now))));
    let all = || sections.iter().flat_map(|(_, rows)| rows);
    let widths = widths(all());
    let sections = sections.iter().map(|(title, rows)| format!("{title}\n{}", print(rows, widths)));
    sections.collect::<Vec<_>>().join("\n")
}

/// The components of one namespace.
pub fn components(snapshot: &Snapshot, namespace: &str, now: Timestamp) -> String {
    let rows = rows(snapshot, namespace, now);
    print(&rows, widths(rows.iter()))
}

fn controller(controller: &Deployed) -> Row {
    let cells = match &controller.deployment {
        None => ["–".to_owned(), "not installed".to_owned(), String::new()],
        Some(there) => {
            [there.version.clone(), format!("{} of {} available", there.available, there.wanted), String::new()]
        }
    };
    Row { label: controller.program.to_owned(), cells, indent: String::new(), notes: Vec::new() }
}

/// Those that nobody refers to, each with what it refers to below it.
fn rows(snapshot: &Snapshot, namespace: &str, now: Timestamp) -> Vec<Row> {
    let here = || snapshot.components.iter().filter(|component| component.id.namespace == namespace);
    let referred: BTreeSet<&Id> = here().flat_map(|component| &component.refers_to).collect();
    let mut roots: Vec<&Component> = here().filter(|component| !referred.contains(&component.id)).collect();
    // The whole before what stands alone.
    roots.sort_by_key(|component| component.refers_to.is_empty());
    let mut rows = Vec::new();
    for root in roots {
        rows.push(row(root, "", "  ", now));
        let last = root.refers_to.len().saturating_sub(1);
        for (number, id) in root.refers_to.iter().enumerate() {
            let (branch, indent) = if number == last { ("└─ ", "     ") } else { ("├─ ", "│    ") };
            match snapshot.component(id) {
                Some(component) => rows.push(row(component, branch, indent, now)),
                None => rows.push(missing(id, branch)),
            }
        }
    }
    rows
}

fn row(component: &Component, branch: &str, indent: &str, now: Timestamp) -> Row {
    let state = &component.state;
    let since = state.since.map(|since| format!("for {}", age(now.duration_since(since).as_secs())));
    let mut notes = Vec::new();
    if state.word != Word::Ready {
        notes.push(state.message.clone());
    }
    let note = |kind: &str, status: &str, message: &str| format!("{kind} is {status}: {message}");
    notes.extend(component.unwell.iter().map(|one| note(&one.type_, &one.status, &one.message)));
    Row {
        label: format!("{branch}{} {}", component.id.kind, component.id.name),
        cells: [state.word.to_string(), state.reason.clone(), since.unwrap_or_default()],
        indent: indent.to_owned(),
        notes,
    }
}

fn missing(id: &Id, branch: &str) -> Row {
    let cells = ["not there".to_owned(), "Missing".to_owned(), String::new()];
    Row { label: format!("{branch}{} {}", id.kind, id.name), cells, indent: String::new(), notes: Vec::new() }
}

fn widths<'a>(rows: impl Iterator<Item = &'a Row>) -> [usize; 3] {
    rows.fold([0; 3], |[label, first, second], row| {
        let width = |text: &str| text.chars().count();
        [label.max(width(&row.label)), first.max(width(&row.cells[0])), second.max(width(&row.cells[1]))]
    })
}

fn print(rows: &[Row], [label, first, second]: [usize; 3]) -> String {
    let mut text = String::new();
    for row in rows {
        let [one, two, three] = &row.cells;
        let line = format!("  {:<label$}  {one:<first$}  {two:<second$}  {three}", row.label);
        // A String takes whatever is written.
        writeln!(text, "{}", line.trim_end()).ok();
        for note in &row.notes {
            writeln!(text, "  {}{note}", row.indent).ok();
        }
    }
    text
}

/// As kubectl says how old something is, in one unit.
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
    fn a_stack_that_is_ready_is_a_line_for_each() {
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
    fn what_is_not_well_has_its_message_below_it() {
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
    fn a_controller_that_is_absent_has_its_line() {
        let text = text(&fixture::controller_absent(), fixture::now());
        assert!(text.contains("  database-controller           –          not installed\n"), "{text}");
    }

    #[test]
    fn what_is_referred_to_and_not_there_has_its_place() {
        let mut snapshot = fixture::database_stalled();
        snapshot.components.retain(|component| component.id.kind != "PostgresDatabase");
        let text = components(&snapshot, "default", fixture::now());
        assert!(text.contains("├─ PostgresDatabase temporal  not there  Missing"), "{text}");
    }

    #[test]
    fn nothing_is_installed() {
        let text = text(&fixture::nothing(), fixture::now());
        assert!(text.lines().skip(1).all(|line| line.ends_with("not installed")), "{text}");
    }

    #[test]
    fn how_old_something_is_has_one_unit() {
        let ages: Vec<String> = [-3, 119, 120, 7200, 172_800].into_iter().map(age).collect();
        assert_eq!(ages, ["0s", "119s", "2m", "2h", "2d"]);
    }
}
