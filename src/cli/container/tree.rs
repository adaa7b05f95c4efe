//! `ps --pods`: pods with their containers below them.

use jiff::Timestamp;

use super::filter::Filters;
use super::list::{Args, is_shown};
use super::row::{LISTING, Row};
use crate::cli::errors::EngineResult;
use crate::cli::pod::row;
use crate::cli::{Context, namespaces};
use crate::engine::container::Container;
use crate::engine::pod::{Pod, of_containers};
use crate::error::{Error, Result};
use crate::output::format::Format;
use crate::output::table::align;

/// The columns below the titles; the first is the tree.
const COLUMNS: &str = "{{.ID}}\t{{.Image}}\t{{.RunningFor}}\t{{.Status}}";

/// Write the tree: a line a pod, then its containers, indented.
pub(super) async fn run(args: &Args, cx: &mut Context<'_>) -> Result<u8> {
    if args.quiet || args.format.is_some() || args.size {
        return Err(Error::usage("--pods draws a tree: it takes no --quiet, --format or --size"));
    }
    let format = Format::parse(Some(COLUMNS), false, LISTING)?;
    let filters = Filters::parse(&args.filter)?;
    let mut engine = cx.engine().await?;
    if !args.all_namespaces {
        engine = cx.pod_engine().await?;
    }
    let everything = namespaces::containers(&engine, args.all_namespaces).await.told()?;
    let all = args.all || filters.ask_for_state();
    let shown: Vec<String> = filters
        .apply(everything.clone())?
        .into_iter()
        .filter(|container| all || is_shown(container))
        .map(|container| container.id)
        .collect();
    let is_wanted = |container: &Container| shown.contains(&container.id);
    let mut pods = of_containers(everything);
    pods.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    let now = Timestamp::now();
    let mut text = "POD\tCONTAINER ID\tIMAGE\tCREATED\tSTATUS\n".to_owned();
    for pod in pods {
        let head = head(&pod);
        let (id, full, sandbox) = (pod.id.clone(), pod.full_name(), is_wanted(&pod.sandbox));
        let members: Vec<_> =
            pod.containers.into_iter().filter(|member| is_wanted(&member.container)).collect();
        // A pod is shown for its containers, or as it is where everything is.
        if members.is_empty() && !sandbox {
            continue;
        }
        let created =
            format.row(&Row { container: pod.sandbox, no_trunc: args.no_trunc, size: None, now })?;
        let created = created.split('\t').nth(2).unwrap_or_default().to_owned();
        let id = if args.no_trunc { id.as_str() } else { id.get(..12).unwrap_or(&id) };
        text.push_str(&if args.sandboxes {
            format!("{full}\t{id}\t\t{created}\t{head}\n")
        } else {
            format!("{full}\t\t\t{created}\t{head}\n")
        });
        let last = members.len().saturating_sub(1);
        for (index, member) in members.into_iter().enumerate() {
            let branch = if index == last { "└─" } else { "├─" };
            let row = Row { container: member.container, no_trunc: args.no_trunc, size: None, now };
            text.push_str(&format!("{branch} {}\t{}\n", member.name, format.row(&row)?));
        }
    }
    cx.ui.print(align(&text))?;
    Ok(0)
}

/// A pod in a few words.
fn head(pod: &Pod) -> String {
    let restarts = match row::restarts(pod) {
        0 => String::new(),
        1 => ", 1 restart".into(),
        number => format!(", {number} restarts"),
    };
    let address = pod.address().map(|address| format!(", {address}")).unwrap_or_default();
    format!("{} ({} ready{restarts}{address})", row::status(pod), row::ready(pod))
}
