//! Databases whose servers run elsewhere than in a `StatefulSet` of the controller.

mod cloud_native_pg;
