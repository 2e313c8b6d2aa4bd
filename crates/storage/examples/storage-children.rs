//! Prints the children of an `ObjectStorage` on defaults as JSON. Tests run the containers of its pods without a cluster.

use temporal_stack_common::testkit::print_children;
use temporal_stack_storage::Storage;

#[tokio::main]
async fn main() {
    print_children(Storage::new).await;
}
