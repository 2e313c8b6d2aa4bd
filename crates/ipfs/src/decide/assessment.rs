//! What follows from the peers as a whole: their connections, and how many there should be.

use super::{
    health::{self, Health},
    scale::{self, Scale},
    view::EmbeddedView,
};

/// The peers that the controller runs, with everything that several files conclude from them.
pub(crate) struct Assessment<'a> {
    pub(crate) view: &'a EmbeddedView<'a>,
    pub(crate) health: Health,
    pub(crate) scale: Scale,
}

impl<'a> Assessment<'a> {
    /// Assesses the peers.
    pub(super) fn new(view: &'a EmbeddedView<'a>) -> Self {
        let health = health::assess(view);
        let scale = scale::plan(view, &health);
        Self { view, health, scale }
    }
}
