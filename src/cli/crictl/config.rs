//! `crictl config`: read and change /etc/crictl.yaml.

use super::log::Level;
use super::output::table;
use super::session::{Done, Session};
use super::settings::{File, KEYS, no_option};
use crate::error::{Error, Result};
use crate::output::notation::quote;

/// Flags of `crictl config`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  wharfie cri config --set timeout=10\n  wharfie cri config --get runtime-endpoint\n\n\
    Options: runtime-endpoint, image-endpoint, timeout (seconds), debug, pull-image-on-create, disable-pull-on-run"
)]
pub(super) struct Args {
    /// Show the option value
    #[arg(long, value_name = "OPTION")]
    get: Option<String>,
    /// Show all option values
    #[arg(long)]
    list: bool,
    /// Set options: opt1=val1,opt2=val2
    #[arg(long, value_name = "OPTION=VALUE", value_delimiter = ',')]
    set: Vec<String>,
    /// An option, and its value
    #[arg(value_name = "OPTION [VALUE]", num_args = 0..)]
    rest: Vec<String>,
}

/// What clears a terminal; crictl writes it in any case.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

pub(super) fn run(args: &Args, session: &mut Session<'_, '_>) -> Result<Done> {
    let path = session.settings.file.clone();
    let mut file = match File::read(&path)? {
        Some(file) => file,
        None => {
            let new = File::default();
            new.write(&path)?;
            new
        }
    };
    if let Some(name) = &args.get {
        let value = file.get(name).ok_or_else(|| no_option(name))?;
        session.cx.ui.line(value)?;
        return Ok(Done::Well);
    }
    if !args.set.is_empty() {
        for option in &args.set {
            match option.split('=').collect::<Vec<_>>().as_slice() {
                [key, value] => file.set(key, value)?,
                _ => return Err(Error::failed(format!("incorrectly specified option: {option}"))),
            }
        }
        file.write(&path)?;
        return Ok(Done::Well);
    }
    if args.list {
        let mut rows = vec![vec!["KEY".to_owned(), "VALUE".to_owned()]];
        rows.extend(KEYS.map(|key| vec![key.to_owned(), file.get(key).unwrap_or_default()]));
        session.cx.ui.print(CLEAR)?;
        table(session.cx.ui, &rows)?;
        return Ok(Done::Well);
    }
    let Some(key) = args.rest.first().filter(|key| !key.is_empty()) else { return Ok(Done::Help) };
    let value = args.rest.get(1).map_or("", String::as_str);
    let message =
        format!("No --get, --set or --list provided, setting key {} to value {}", quote(key), quote(value));
    session.say(Level::Info, &message)?;
    file.set(key, value).map_err(|error| error.context(format!("set {} to {}", quote(key), quote(value))))?;
    file.write(&path)?;
    Ok(Done::Well)
}
