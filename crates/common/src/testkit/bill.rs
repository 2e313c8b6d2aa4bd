//! A bill of materials as people review it.

use crate::manifest::{Making, Manifest};

/// All manifests as YAML, each with a comment that says how it is made and how long it stays: what a snapshot test compares.
pub fn bill(manifests: &[Manifest]) -> String {
    let documents = manifests.iter().map(|manifest| {
        let making = match &manifest.making {
            Making::Once { drawn } => format!("made once, drawn: {drawn:?}"),
            making => format!("{making:?}").to_lowercase(),
        };
        let object = serde_saphyr::to_string(&manifest.object).expect("an object is YAML");
        format!("# {} ({making}, {:?})\n{object}", manifest.reference(), manifest.lifetime)
    });
    documents.collect::<Vec<_>>().join("---\n")
}
