//! The tables, and how `migrate` makes them: what is missing is added, nothing is changed or dropped.

use super::Database;

/// `table column definition`, as the original makes them.
const TABLES: &str = include_str!("../../fixtures/tables.txt");

/// A table and its columns, each with its definition.
struct Table<'a> {
    name: &'a str,
    columns: Vec<(&'a str, &'a str)>,
}

impl Database {
    /// Makes tables, columns and indexes that are not there. A statement that fails is said, and is no error.
    pub(crate) async fn migrate(&self) {
        for table in tables() {
            for statement in table.statements() {
                if let Err(failure) = self.change(&statement, &[]).await {
                    eprintln!("{failure}: {statement}");
                }
            }
        }
    }
}

impl Table<'_> {
    fn statements(&self) -> Vec<String> {
        let name = self.name;
        let columns: Vec<_> =
            self.columns.iter().map(|(column, definition)| format!("{column} {definition}")).collect();
        let mut statements = vec![format!("CREATE TABLE IF NOT EXISTS {name} ({})", columns.join(", "))];
        let missing = columns.iter().map(|column| format!("ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {column}"));
        statements.extend(missing);
        if self.columns.iter().any(|(column, _)| *column == "deleted_at") {
            statements.push(format!("CREATE INDEX IF NOT EXISTS idx_{name}_deleted_at ON {name} (deleted_at)"));
        }
        statements
    }
}

fn tables() -> Vec<Table<'static>> {
    let mut tables: Vec<Table<'static>> = Vec::new();
    for line in TABLES.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.splitn(3, ' ');
        let (Some(name), Some(column), Some(definition)) = (words.next(), words.next(), words.next()) else { continue };
        match tables.last_mut() {
            Some(table) if table.name == name => table.columns.push((column, definition)),
            _ => tables.push(Table { name, columns: vec![(column, definition)] }),
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;

    // By their names in the source of Temporal, like the list of the controller, and not by that list.
    #[test]
    fn schema_has_the_ten_tables_of_the_original() {
        let names: Vec<_> = tables().iter().map(|table| table.name).collect();
        let expected = [
            "uploads",
            "encrypted_uploads",
            "users",
            "payments",
            "ip_ns",
            "hosted_networks",
            "zones",
            "records",
            "usages",
            "organizations",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn statements_of_the_schema_only_add() {
        for statement in tables().iter().flat_map(Table::statements) {
            assert!(statement.contains("IF NOT EXISTS"), "{statement}");
        }
    }
}
