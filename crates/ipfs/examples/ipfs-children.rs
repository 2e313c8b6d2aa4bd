//! Prints the children of an `IpfsCluster` on defaults as JSON. Tests run the containers of its pods without a cluster.

use temporal_stack_common::testkit::print_children;
use temporal_stack_ipfs::Ipfs;

#[tokio::main]
async fn main() {
    print_children(Ipfs::new).await;
}
