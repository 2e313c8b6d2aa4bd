//! Ranges of addresses.

use std::{fmt, net::IpAddr, str::FromStr};

/// A range of addresses of one family, in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// One address.
    pub(crate) fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: longest(address) }
    }

    /// Its first address.
    pub(crate) fn first(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(address) => IpAddr::V4((address.to_bits() & mask_v4(self.prefix)).into()),
            IpAddr::V6(address) => IpAddr::V6((address.to_bits() & mask_v6(self.prefix)).into()),
        }
    }

    /// Whether an address belongs to it; one of IPv4 that is written as IPv6 is one of IPv4.
    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(other)) => (ours.to_bits() ^ other.to_bits()) & mask_v4(self.prefix) == 0,
            (IpAddr::V6(ours), IpAddr::V6(other)) => (ours.to_bits() ^ other.to_bits()) & mask_v6(self.prefix) == 0,
            _ => false,
        }
    }
}

fn longest(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0)
}

/// The text is no range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an address range; write it as 10.0.0.0/8 or fd00::/8")]
pub(crate) struct NotANetwork;

impl FromStr for Network {
    type Err = NotANetwork;

    /// A range, or a single address.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| NotANetwork)?;
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= longest(address)).ok_or(NotANetwork)?,
            None => longest(address),
        };
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn range_contains_addresses_of_its_family_only() {
        for (network, inside, outside) in [
            ("10.244.0.0/24", "10.244.0.255", "10.244.1.0"),
            ("10.244.0.6/32", "10.244.0.6", "10.244.0.7"),
            ("10.244.0.6", "::ffff:10.244.0.6", "10.244.0.7"),
            ("0.0.0.0/0", "255.1.2.3", "::1"),
            ("::/0", "fd00::1", "1.2.3.4"),
            ("fd00:10::/32", "fd00:10:ffff::1", "fd00:11::1"),
            ("fd00::7/128", "fd00::7", "fd00::8"),
        ] {
            assert!(has(network, inside), "{network} {inside}");
            assert!(!has(network, outside), "{network} {outside}");
        }
    }

    #[test]
    fn text_that_is_no_range_is_refused() {
        for text in ["", "10.0.0.0/33", "10.0.0/8", "fd00::/129", "a/8", "10.0.0.0/", "10.0.0.0/-1", "1.2.3.4/8/8"] {
            assert_eq!(text.parse::<Network>(), Err(NotANetwork), "{text:?}");
        }
    }

    #[test]
    fn first_address_has_no_bits_beyond_the_prefix() {
        for (network, first) in [("10.1.2.3/8", "10.0.0.0"), ("fd00::ff/64", "fd00::"), ("1.2.3.4", "1.2.3.4")] {
            assert_eq!(network.parse::<Network>().unwrap().first(), first.parse::<IpAddr>().unwrap());
        }
    }
}
