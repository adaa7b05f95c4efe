//! `crictl events`: what happens to containers, as it happens.

use super::output::{self, executed, parsed};
use super::session::{Answer, Done, Session};
use crate::cri::{api, json::to_value};
use crate::error::{Error, Result};
use crate::output::notation::quote;
use crate::output::ui::Ui;

/// Flags of `crictl events`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  wharfie cri events\n  \
    wharfie cri events -o go-template --template '{{.containerId}} {{.containerEventType}}'")]
pub(super) struct Args {
    /// Output format, one of: json|yaml|go-template
    #[arg(short, long, value_name = "FORMAT", default_value = "json")]
    output: String,
    /// The template string is only used when output is go-template
    #[arg(long)]
    template: Option<String>,
    #[arg(hide = true)]
    rest: Vec<String>,
}

pub(super) async fn run(args: Args, session: &mut Session<'_, '_>) -> Result<Done> {
    if !args.rest.is_empty() {
        return Ok(Done::Help);
    }
    let template = args.template.as_deref().unwrap_or_default();
    match args.output.as_str() {
        "json" | "yaml" if !template.is_empty() => {
            let format = quote(&args.output);
            return Err(Error::failed(format!("template can't be used with {format} format")));
        }
        "json" | "yaml" => {}
        "go-template" => drop(parsed(template)?),
        other => return Err(Error::failed(format!("don't support {} format", quote(other)))),
    }
    let runtime = session.runtime().await?;
    let mut events = runtime.events().await.during("getting container events")?;
    while let Some(event) = events.next().await.during("getting container events")? {
        write(&event, &args.output, template, session.cx.ui)?;
        session.cx.ui.flush()?;
    }
    Ok(Done::Well)
}

fn write(event: &api::ContainerEventResponse, format: &str, template: &str, ui: &mut Ui) -> Result<()> {
    let value = to_value(event);
    match format {
        "json" => output::json(ui, &value),
        "yaml" => ui.line(output::yaml(&value)?),
        _ => match executed(template, &value) {
            Ok(text) => ui.line(text),
            Err(error) => {
                ui.line(format_args!("failed to format container event with the error: {}", error.message))
            }
        },
    }
}
