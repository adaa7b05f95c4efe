//! `ctr namespaces`.

use std::collections::HashMap;

use super::{connect, shown};
use crate::cli::Context;
use crate::error::{Error, Result};

#[derive(Debug, clap::Subcommand)]
pub enum Verb {
    /// Create a new namespace
    #[command(visible_alias = "c")]
    Create(LabelArgs),
    /// List namespaces
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Remove one or more namespaces
    #[command(visible_alias = "rm")]
    Remove(RemoveArgs),
    /// Set and clear labels for a namespace
    Label(LabelArgs),
}

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  ctr namespaces create build team=ci\n  ctr namespaces label build team="
)]
pub struct LabelArgs {
    /// The namespace, then labels; an empty value clears one
    #[arg(value_name = "name key=value")]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr namespaces ls")]
pub struct ListArgs {
    /// Print only the namespace name
    #[arg(short, long)]
    quiet: bool,
    #[arg(hide = true)]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  ctr namespaces rm build")]
pub struct RemoveArgs {
    /// Delete the namespace's cgroup
    #[arg(short, long)]
    cgroup: bool,
    /// The namespaces
    #[arg(value_name = "name")]
    names: Vec<String>,
}

pub(super) async fn run(verb: Verb, cx: &mut Context<'_>) -> Result<u8> {
    match verb {
        Verb::List(args) => list(args, cx).await,
        Verb::Remove(args) => remove(args, cx).await,
        Verb::Create(args) => {
            let (name, labels) = named(&args)?;
            connect(cx).await?.containerd.create_namespace(&name, labels).await?;
            Ok(0)
        }
        Verb::Label(args) => {
            let (name, labels) = named(&args)?;
            let engine = connect(cx).await?;
            if !labels.is_empty() {
                engine.containerd.label_namespace(&name, labels).await?;
            }
            Ok(0)
        }
    }
}

fn named(args: &LabelArgs) -> Result<(String, HashMap<String, String>)> {
    let (name, labels) = shown::object(&args.words);
    match name.is_empty() {
        true => Err(Error::failed("please specify a namespace")),
        false => Ok((name, labels)),
    }
}

async fn list(args: ListArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let mut table = String::from("NAME\tLABELS\t\n");
    for (name, labels) in engine.containerd.namespaces().await? {
        match args.quiet {
            true => cx.ui.line(name)?,
            false => table += &format!("{name}\t{}\t\n", shown::pairs(&labels)),
        }
    }
    if !args.quiet {
        shown::narrow(cx.ui, &table)?;
    }
    Ok(0)
}

async fn remove(args: RemoveArgs, cx: &mut Context<'_>) -> Result<u8> {
    let engine = connect(cx).await?;
    let mut first = None;
    for name in &args.names {
        match engine.containerd.delete_namespace(name).await {
            Err(error) if !error.is_not_found() => {
                let error = Error::from(error);
                shown::log(cx.ui, "error", &format!("unable to delete {name}"), Some(&error))?;
                first.get_or_insert(error.context(format!("unable to delete {name}")));
                continue;
            }
            _ => {}
        }
        if args.cgroup {
            crate::engine::namespace::remove_control_group(name);
        }
        cx.ui.line(name)?;
    }
    first.map_or(Ok(0), Err)
}
