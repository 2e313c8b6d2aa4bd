//! `--image NAME=REF`: another image for a product.

use std::str::FromStr;

use anyhow::{Context as _, Result, bail};

use crate::controllers;

/// The prefix of controllers' variables that name images.
const PREFIX: &str = "RELATED_IMAGE_";

/// An image to use instead of the one in a controller's manifest, or the one that is built here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The variable of the controller's environment that names it.
    pub variable: &'static str,
    /// Its reference in pods.
    pub reference: String,
}

impl FromStr for Replacement {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, reference) =
            text.split_once('=').context("expected NAME=REF, for instance temporal=team/temporal:v3")?;
        if reference.trim().is_empty() {
            bail!("image missing for {name}; write {name}=REF");
        }
        let known = || controllers::ALL.iter().flat_map(|controller| controller.images).map(|(variable, _)| *variable);
        let found = known().find(|variable| short(variable) == name);
        let variable = found.with_context(|| {
            format!("unknown image {name}; use one of: {}", known().map(short).collect::<Vec<_>>().join(", "))
        })?;
        Ok(Self { variable, reference: reference.trim().to_owned() })
    }
}

/// `ipfs-cluster` for `RELATED_IMAGE_IPFS_CLUSTER`.
fn short(variable: &str) -> String {
    variable.strip_prefix(PREFIX).unwrap_or(variable).to_lowercase().replace('_', "-")
}

/// The replacement for a variable, the last one where there are several.
pub(super) fn find<'a>(replacements: &'a [Replacement], variable: &str) -> Option<&'a Replacement> {
    replacements.iter().rev().find(|replacement| replacement.variable == variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn product_name_finds_the_variable() {
        let replacement: Replacement = "ipfs-cluster=registry:5000/cluster:v1=x".parse().unwrap();
        assert_eq!(replacement.variable, "RELATED_IMAGE_IPFS_CLUSTER");
        assert_eq!(replacement.reference, "registry:5000/cluster:v1=x");
    }

    #[test]
    fn unknown_name_lists_the_known_ones() {
        let error = "postgresql=postgres:18".parse::<Replacement>().unwrap_err().to_string();
        assert!(error.contains("postgres, rabbitmq, kubo, ipfs-cluster"), "{error}");
        assert!("postgres".parse::<Replacement>().is_err());
        assert!("postgres=".parse::<Replacement>().is_err());
    }
}
