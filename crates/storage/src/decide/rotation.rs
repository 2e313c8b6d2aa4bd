//! The rotation of the credentials.
//!
//! A bucket's key rotates by the annotation `temporal-stack.dev/rotate`: the request and the state of each key are in `view.rs`, the
//! changes in `buckets.rs`, the order of steps in `crates/common/src/login/rotation.rs`.
//!
//! The root credential of an engine is drawn, kept in a Secret of its own, and replaced when the user asks for it.
//! Several servers also know each other by it, so it cannot be rolled: a new value of the annotation
//! `temporal-stack.dev/full-restart` asks for another one, and permits the full stop that it takes. A single server is restarted.
//! Applications never have it.

use std::collections::BTreeMap;

use kube::ResourceExt;
use temporal_stack_common::{
    api::{ObjectStorage, annotation::FULL_RESTART},
    component::Stalled,
    manifest::Draw,
    shared::{self, Decision, Made, NextSecret, Shared},
};

use crate::{
    engine::Kind,
    names::{self, KEY_ID, KEY_SECRET, LAYOUT, Names},
    observed::Embedded,
    reason,
};

/// The series of root credentials, and why there is none.
pub(super) fn root(
    object: &ObjectStorage,
    names: &Names,
    kind: &Kind,
    observed: &Embedded,
) -> (Shared, Option<Stalled>) {
    let permission = object.annotations().get(FULL_RESTART).map(String::as_str);
    let differs = |newest: &Made| permission.is_some() && newest.annotation(FULL_RESTART) != permission;
    let (next, stalled) = match shared::decide(&observed.roots, observed.root_in_use, permission, differs) {
        Decision::Make(next) => {
            let annotations = BTreeMap::from([(LAYOUT.to_owned(), kind.layout())]);
            let drawn = vec![Draw::Letters(KEY_ID), Draw::Letters(KEY_SECRET)];
            (Some(NextSecret { drawn, annotations, ..next }), None)
        }
        Decision::Lost(number) => {
            let message = format!(
                "Secret/{} missing: running servers use its root credential; restore it, or {}",
                names::root(names, number),
                shared::permit("another one")
            );
            (None, Some(Stalled::new(reason::SECRET_INCOMPLETE, message)))
        }
        Decision::Keep | Decision::Refused => (None, None),
    };
    (Shared { made: observed.roots.clone(), next }, stalled)
}

/// The layout of drives that the volumes have, if it is noted.
pub(super) fn noted_layout(observed: &Embedded) -> Option<&str> {
    observed.roots.iter().rev().find_map(|root| root.annotation(LAYOUT))
}
