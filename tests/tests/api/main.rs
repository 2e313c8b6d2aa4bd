//! The behaviour on a real API server with its controllers, but without nodes: pods never come.

fn main() {}
