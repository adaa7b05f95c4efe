//! `events`: what happens, as it happens and as it happened.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::cli::Context;
use crate::cli::errors::EngineResult;
use crate::engine::event::{Filters, Query, events};
use crate::error::{Error, Result};
use crate::journal::{Event, Kind};
use crate::output::units::parse_moment;
use crate::output::{Inspector, Object};

/// Flags of `events`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie events --since 10m --until 0s\n  wharfie events --filter type=container --filter event=die\n  wharfie events --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}}'"
)]
pub struct Args {
    /// Filter output based on conditions provided
    #[arg(short, long, value_name = "KEY=VALUE")]
    filter: Vec<String>,
    /// Format output using a custom template: 'json', or a Go template such as '{{.Action}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show all events created since timestamp
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Stream events until this timestamp
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// Run the verb.
pub async fn run(args: Args, cx: &mut Context<'_>) -> Result<u8> {
    let inspector = Inspector::parse_for(Object::Event, args.format.as_deref())?;
    let zone = TimeZone::system();
    let now = Timestamp::now();
    let moment = |text: &Option<String>| -> Result<Option<Timestamp>> {
        text.as_deref().map(|text| parse_moment(text, now, &zone)).transpose()
    };
    let query = Query {
        since: moment(&args.since)?,
        until: moment(&args.until)?,
        filters: Filters::parse(&args.filter)?,
    };
    let engine = cx.engine().await?;
    let mut events = events(&engine, query).await.told()?;
    while let Some(event) = events.next().await.told()? {
        if inspector.is_default() {
            cx.ui.line(line(&event, &zone))?;
        } else {
            inspector.line(cx.ui, Object::Event, &value(&event)?)?;
        }
        cx.ui.flush()?;
    }
    Ok(0)
}

/// docker's line: time, kind, action, id, and the attributes in order.
fn line(event: &Event, zone: &TimeZone) -> String {
    let time = event.timestamp().to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S.%9f%:z").to_string();
    let time = time.strip_suffix("+00:00").map_or_else(|| time.clone(), |utc| format!("{utc}Z"));
    let attributes: Vec<String> =
        event.actor.attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let line = format!("{time} {} {} {}", event.kind.word(), event.action, event.actor.id);
    if attributes.is_empty() { line } else { format!("{line} ({})", attributes.join(", ")) }
}

/// The JSON, with the fields that docker kept for its oldest clients in front.
fn value(event: &Event) -> Result<Value> {
    let rest =
        serde_json::to_value(event).map_err(|cause| Error::failed(format!("describe an event: {cause}")))?;
    let mut value = match event.kind {
        Kind::Container | Kind::Image => json!({ "status": event.action, "id": event.actor.id }),
        Kind::Network | Kind::Volume => json!({}),
    };
    if let (Kind::Container, Some(image)) = (event.kind, event.actor.attributes.get("image")) {
        value["from"] = image.as_str().into();
    }
    if let (Value::Object(value), Value::Object(rest)) = (&mut value, rest) {
        value.extend(rest);
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_json_are_dockers() {
        let at = Timestamp::from_nanosecond(1_483_577_758_859_401_100).unwrap();
        let event = Event::new(Kind::Container, "create", "0fdb").at(at);
        let event = event.with("name", "test").with("image", "alpine:latest");
        assert_eq!(
            line(&event, &TimeZone::fixed(jiff::tz::offset(8))),
            "2017-01-05T08:55:58.859401100+08:00 container create 0fdb (image=alpine:latest, name=test)"
        );
        assert!(line(&event, &TimeZone::UTC).starts_with("2017-01-05T00:55:58.859401100Z container"));
        assert_eq!(
            value(&event).unwrap().to_string(),
            r#"{"status":"create","id":"0fdb","from":"alpine:latest","Type":"container","Action":"create","Actor":{"ID":"0fdb","Attributes":{"image":"alpine:latest","name":"test"}},"scope":"local","time":1483577758,"timeNano":1483577758859401100}"#
        );
    }
}
