//! A bill of materials for review.

use crate::manifest::{Manifest, Mode};

/// All manifests as YAML, each with a comment on how it is created and how long it lives, for snapshot tests.
pub fn bill(manifests: &[Manifest]) -> String {
    let documents = manifests.iter().map(|manifest| {
        let mode = match &manifest.mode {
            Mode::Once { drawn } => format!("made once, drawn: {drawn:?}"),
            mode => format!("{mode:?}").to_lowercase(),
        };
        let object = serde_saphyr::to_string(&manifest.object).expect("an object is YAML");
        format!("# {} ({mode}, {:?})\n{object}", manifest.reference(), manifest.lifetime)
    });
    documents.collect::<Vec<_>>().join("---\n")
}
