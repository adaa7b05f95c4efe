//! The kernel's settings that pods' and containers' networks need.

use super::facts::Facts;
use super::finding::Finding;

const CHECK: &str = "kernel";
const FORWARD: &str = "/proc/sys/net/ipv4/ip_forward";
const FORWARD_V6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
const BRIDGE: &str = "/proc/sys/net/bridge/bridge-nf-call-iptables";

/// Whether packets are forwarded, and those on a bridge seen by the firewall.
pub(super) fn check(facts: &Facts) -> Vec<Finding> {
    let node = &facts.node;
    let kubernetes = facts.is_kubernetes();
    let mut findings = Vec::new();
    if node.number(FORWARD) == Some(0) {
        let finding = if kubernetes {
            Finding::error(CHECK, "packets are not forwarded: no pod reaches another node or the outside")
        } else {
            Finding::note(CHECK, "packets are not forwarded; a network of wharfie's switches that on")
        };
        findings.push(finding.of("net.ipv4.ip_forward").next("sysctl -w net.ipv4.ip_forward=1"));
    }
    if kubernetes {
        match node.number(BRIDGE) {
            Some(1) => {}
            Some(_) => findings.push(
                Finding::warning(
                    CHECK,
                    "the firewall does not see packets on bridges: services may not be reached",
                )
                .of("net.bridge.bridge-nf-call-iptables")
                .next("sysctl -w net.bridge.bridge-nf-call-iptables=1"),
            ),
            None => findings.push(
                Finding::warning(
                    CHECK,
                    "the module is not loaded: the firewall does not see packets on bridges",
                )
                .of("br_netfilter")
                .next("modprobe br_netfilter"),
            ),
        }
    }
    if findings.is_empty() {
        let six = if node.number(FORWARD_V6) == Some(1) { "IPv4 and IPv6" } else { "IPv4" };
        findings.push(Finding::ok(CHECK, format!("{six} packets are forwarded")));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::facts::tests::facts;
    use super::*;

    #[tokio::test]
    async fn forwarding_is_a_kubelet_s_need() {
        let (_root, plain) = facts(&[(FORWARD, "0\n")]).await;
        assert_eq!(check(&plain)[0].severity, super::super::Severity::Note);
        let (_root, node) =
            facts(&[(FORWARD, "0\n"), ("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n")])
                .await;
        let found = check(&node);
        assert_eq!(found[0].severity, super::super::Severity::Error);
        assert_eq!(
            (found[1].subject.as_str(), found[1].next.as_deref()),
            ("br_netfilter", Some("modprobe br_netfilter"))
        );
        let (_root, well) = facts(&[
            (FORWARD, "1\n"),
            (BRIDGE, "1\n"),
            ("/var/lib/kubelet/config.yaml", "kind: KubeletConfiguration\n"),
        ])
        .await;
        assert_eq!(check(&well), [Finding::ok(CHECK, "IPv4 packets are forwarded")]);
    }
}
