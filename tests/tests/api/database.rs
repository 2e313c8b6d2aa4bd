//! Databases whose servers run elsewhere than in a `StatefulSet` of the controller, those that change their provider, and new images.

mod cloud_native_pg;
mod moving;
mod version;
