//! Databases whose servers run elsewhere than in a `StatefulSet` of the controller, and those that change their provider.

mod cloud_native_pg;
mod moving;
