//! The node's network: a bridge for the pods, rules for outgoing traffic, and the rules that Kubernetes adds.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::cluster::NODE_ADDRESS;
use crate::machine;
use crate::step::Step;

/// The bridge the pods are on.
pub const BRIDGE: &str = "tks0";
/// The pods' addresses; `deploy/node/cni.conflist` hands them out.
pub const POD_RANGE: &str = "10.244.0.0/24";

/// The comment that identifies our own rules.
const MARK: &str = "temporal-stack-node";
const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
/// Whether packets between pods pass the rules that translate the addresses of Services.
const BRIDGED: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// Table, chain and what follows: pods may communicate with each other and the node, and use its address outside.
const RULES: &[(&str, &str, &[&str])] = &[
    ("filter", "INPUT", &["-i", BRIDGE, "-j", "ACCEPT"]),
    ("filter", "FORWARD", &["-i", BRIDGE, "-j", "ACCEPT"]),
    ("filter", "FORWARD", &["-o", BRIDGE, "-j", "ACCEPT"]),
    ("nat", "POSTROUTING", &["-s", POD_RANGE, "!", "-d", POD_RANGE, "!", "-o", BRIDGE, "-j", "MASQUERADE"]),
];

/// Whether a kernel module must be loaded, which requires a program for it.
pub fn lacks_module() -> bool {
    !Path::new(BRIDGED).exists()
}

/// The changes of `set_up`, for confirmation by the user.
pub fn changes() -> Vec<String> {
    let mut changes = Vec::new();
    if lacks_module() {
        changes.push("load the kernel module br_netfilter".to_owned());
    }
    if !is_on(FORWARD) {
        changes.push("enable IPv4 forwarding (it stays enabled)".to_owned());
    }
    if !bridge_exists() {
        changes.push(format!(
            "create the bridge {BRIDGE} with address {NODE_ADDRESS}, and iptables rules for it and for Services"
        ));
    }
    changes
}

/// Creates the bridge, enables forwarding and adds our rules, if they are missing.
pub fn set_up(step: &Step) -> Result<()> {
    if lacks_module() {
        step.command("modprobe").arg("br_netfilter").run()?;
    }
    for switch in [FORWARD, BRIDGED] {
        if !is_on(switch) {
            fs::write(switch, "1").with_context(|| format!("cannot set {switch}"))?;
        }
    }
    if !bridge_exists() {
        refuse_other_routes(step)?;
        step.command("ip").args(["link", "add", BRIDGE, "type", "bridge"]).run()?;
    }
    step.command("ip").args(["address", "replace", &format!("{NODE_ADDRESS}/24"), "dev", BRIDGE]).run()?;
    step.command("ip").args(["link", "set", BRIDGE, "up"]).run()?;
    let present = save(step, "iptables")?;
    for (table, chain, rule) in RULES {
        if !has_rule(&present, table, chain, rule) {
            let rule = rule.iter().copied().chain(["-m", "comment", "--comment", MARK]);
            step.command("iptables").args(["-w", "-t", table, "-I", chain]).args(rule).run()?;
        }
    }
    Ok(())
}

/// Removes the bridge, our rules and, unless they belong to another Kubernetes, those of Kubernetes.
pub fn take_down(step: &Step, with_kubernetes: bool) -> Result<()> {
    for family in ["iptables", "ip6tables"] {
        let script = removal(&save(step, family)?, with_kubernetes);
        if !script.is_empty() {
            step.command(format!("{family}-restore")).args(["-w", "--noflush"]).input(script).run()?;
        }
    }
    for link in links(step)? {
        // The ports of a bridge are removed explicitly: a pod's network namespace may disappear later.
        step.command("ip").args(["link", "delete", &link]).succeeds()?;
    }
    Ok(())
}

/// The remains of the bridge and the rules.
pub fn leftovers(step: &Step, with_kubernetes: bool) -> Result<Vec<String>> {
    let mut left: Vec<String> = links(step)?.into_iter().map(|link| format!("link {link}")).collect();
    for family in ["iptables", "ip6tables"] {
        let script = removal(&save(step, family)?, with_kubernetes);
        left.extend(script.lines().filter(|line| line.starts_with('-')).map(|line| format!("{family} {line}")));
    }
    Ok(left)
}

fn is_on(switch: &str) -> bool {
    fs::read_to_string(switch).is_ok_and(|value| value.trim() == "1")
}

fn bridge_exists() -> bool {
    Path::new("/sys/class/net").join(BRIDGE).exists()
}

/// The bridge, last, after what is attached to it.
fn links(step: &Step) -> Result<Vec<String>> {
    if !bridge_exists() {
        return Ok(Vec::new());
    }
    let ports = step.command("ip").args(["-oneline", "link", "show", "master", BRIDGE]).read()?;
    let names = ports.lines().filter_map(|line| line.split(": ").nth(1)?.split('@').next());
    Ok(names.chain([BRIDGE]).map(str::to_owned).collect())
}

fn refuse_other_routes(step: &Step) -> Result<()> {
    let routes = step.command("ip").args(["-4", "route", "show"]).read()?;
    if let Some(route) = routes.lines().find(|route| route.starts_with("10.244.") || route.starts_with("10.96.")) {
        bail!(
            "addresses in use: pods and Services need 10.244.0.0/24 and 10.96.0.0/16, and this machine has the route \
             `{route}`; remove it, or use an existing cluster: --context NAME"
        );
    }
    Ok(())
}

fn save(step: &Step, family: &str) -> Result<String> {
    let program = format!("{family}-save");
    // A machine without the program has no rules of it.
    if machine::find(&program).is_none() {
        return Ok(String::new());
    }
    step.command(program).read()
}

fn has_rule(saved: &str, table: &str, chain: &str, rule: &[&str]) -> bool {
    let lines = in_table(saved).filter(|(name, _)| *name == table).map(|(_, line)| line);
    let mut ours = lines.filter(|line| line.starts_with(&format!("-A {chain} ")) && line.contains(MARK));
    // `iptables-save` puts the words in an order of its own.
    ours.any(|line| rule.iter().all(|word| line.split(' ').any(|part| part == *word)))
}

/// The script for `iptables-restore` that removes our rules from the output of `iptables-save`: one transaction per table.
fn removal(saved: &str, with_kubernetes: bool) -> String {
    let is_ours = |chain: &str| with_kubernetes && chain.starts_with("KUBE-");
    let mut script = String::new();
    let mut tables: Vec<&str> = in_table(saved).map(|(table, _)| table).collect();
    tables.dedup();
    for table in tables {
        let lines = || in_table(saved).filter(|(name, _)| *name == table).map(|(_, line)| line);
        let chains: Vec<&str> = lines()
            .filter_map(|line| line.strip_prefix(':')?.split(' ').next())
            .filter(|chain| is_ours(chain))
            .collect();
        let rules = lines().filter_map(|line| line.strip_prefix("-A ")).filter(|rule| {
            let chain = rule.split(' ').next().unwrap_or_default();
            let jumps_to_ours = rule.split_once(" -j ").is_some_and(|(_, to)| is_ours(to));
            !is_ours(chain) && (rule.contains(MARK) || jumps_to_ours)
        });
        let removed: Vec<String> = rules
            .map(|rule| format!("-D {rule}\n"))
            .chain(chains.iter().map(|chain| format!("-F {chain}\n")))
            .chain(chains.iter().map(|chain| format!("-X {chain}\n")))
            .collect();
        if !removed.is_empty() {
            script.extend(["*", table, "\n", &removed.concat(), "COMMIT\n"]);
        }
    }
    script
}

/// The lines of a saved rule set, each with its table.
fn in_table(saved: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut table = "";
    saved.lines().filter_map(move |line| {
        if let Some(name) = line.strip_prefix('*') {
            table = name;
            return None;
        }
        Some((table, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAVED: &str = "\
# Generated by iptables-save
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER-USER - [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-FORWARD - [0:0]
-A INPUT -i tks0 -m comment --comment temporal-stack-node -j ACCEPT
-A INPUT -j KUBE-FIREWALL
-A FORWARD -j DOCKER-USER
-A FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -j DROP
COMMIT
*nat
:POSTROUTING ACCEPT [0:0]
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
COMMIT
";

    #[test]
    fn removal_takes_kubernetes_chains_and_our_rules_only() {
        let expected = "\
*filter
-D INPUT -i tks0 -m comment --comment temporal-stack-node -j ACCEPT
-D INPUT -j KUBE-FIREWALL
-D FORWARD -m comment --comment \"kubernetes forwarding rules\" -j KUBE-FORWARD
-F KUBE-FIREWALL
-F KUBE-FORWARD
-X KUBE-FIREWALL
-X KUBE-FORWARD
COMMIT
";
        assert_eq!(removal(SAVED, true), expected);
    }

    #[test]
    fn removal_leaves_the_chains_of_another_kubernetes() {
        let expected = "\
*filter
-D INPUT -i tks0 -m comment --comment temporal-stack-node -j ACCEPT
COMMIT
";
        assert_eq!(removal(SAVED, false), expected);
    }

    #[test]
    fn rule_is_found_in_any_order_of_its_words() {
        assert!(has_rule(SAVED, "filter", "INPUT", &["-j", "ACCEPT", "-i", "tks0"]));
        assert!(!has_rule(SAVED, "filter", "FORWARD", &["-i", "tks0", "-j", "ACCEPT"]));
    }
}
