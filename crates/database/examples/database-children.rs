//! Prints the children of a `PostgresDatabase` on defaults as JSON. Tests run the containers of its pods without a cluster.

use temporal_stack_common::testkit::print_children;
use temporal_stack_database::Database;

#[tokio::main]
async fn main() {
    print_children(Database::new).await;
}
