//! What containers that are gone have left of their networks: namespaces, published ports, addresses, links.

use super::Budget;
use super::facts::Facts;
use super::finding::{Finding, count, some_of};
use crate::engine::Engine;
use crate::engine::container::leftovers;

const CHECK: &str = "leftovers";

/// Whether everything of the networks has an owner.
pub(super) async fn check(facts: &Facts, budget: Budget) -> Vec<Finding> {
    let Some(reached) = &facts.containerd else {
        return vec![super::containerd::unanswered(facts, CHECK, "its containers")];
    };
    let engine = Engine::over(facts.config.clone(), reached.client.clone());
    match tokio::time::timeout_at(budget.until(93), leftovers(&engine)).await {
        Ok(Ok(found)) if found.is_empty() => vec![Finding::ok(CHECK, "no container has left any")],
        Ok(Ok(found)) => vec![finding(&found)],
        Ok(Err(error)) => {
            vec![Finding::note(CHECK, format!("networks were not looked at: {}", error.message))]
        }
        Err(_) => vec![super::containerd::unanswered(facts, CHECK, "its containers")],
    }
}

fn finding(found: &[(String, Vec<&'static str>)]) -> Finding {
    let named: Vec<String> =
        found.iter().map(|(owner, what)| format!("{owner} ({})", what.join(", "))).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let message =
        format!("{} gone, and not all of its network: {}", count(found.len(), "container"), some_of(&named));
    Finding::warning(CHECK, message).next("wharfie system recover")
}
