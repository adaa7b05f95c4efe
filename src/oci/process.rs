//! The first process: what is executed, in which directory, with which environment and limits. docker's
//! rules of how the request and the image's configuration combine.

use std::str::FromStr;

use oci_spec::image::Config;
use oci_spec::runtime::{
    BoxBuilder, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process, ProcessBuilder,
};

use super::request::ContainerRequest;
use super::spec::SpecInput;
use super::{built, capabilities};
use crate::{Error, Result};

/// docker's PATH for an image without one.
pub const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Where docker mounts the program of `--init`.
pub const INIT: &str = "/sbin/docker-init";

/// The first process of a container that is granted `granted`.
pub fn process(input: &SpecInput, granted: u64) -> Result<Process> {
    let request = input.request;
    let mut arguments = command(request, input.image)?;
    if wants_init(request) {
        arguments.splice(0..0, [INIT.to_owned(), "--".to_owned()]);
    }
    let mut process = ProcessBuilder::default()
        .args(arguments)
        .env(environment(input))
        .cwd(working_directory(request, input.image)?)
        .user(input.user.in_spec()?)
        .terminal(request.tty)
        .capabilities(capabilities::in_spec(granted)?)
        .rlimits(limits(&request.resources.ulimits)?)
        .no_new_privileges(request.security.no_new_privileges)
        .oom_score_adj(oom_score(request)?);
    if let (true, Some((width, height))) = (request.tty, input.console_size) {
        process = process.console_size(console_size(width, height)?);
    }
    if let Some(profile) = apparmor(input) {
        process = process.apparmor_profile(profile);
    }
    built(process.build())
}

/// Whether the program of `--init` is to run: not where another process is already the first one.
pub fn wants_init(request: &ContainerRequest) -> bool {
    request.init && request.namespaces.pid.as_deref().unwrap_or_default().is_empty()
}

/// The user to look up: the request's, else the image's, else root (empty).
pub fn user<'a>(request: &'a ContainerRequest, image: Option<&'a Config>) -> &'a str {
    let chosen = request.user.as_deref().filter(|user| !user.is_empty());
    chosen.or_else(|| image.and_then(|image| image.user().as_deref())).unwrap_or_default()
}

/// Entrypoint and command together. An entrypoint of the request drops the image's command; an empty one
/// leaves nothing but the request's command.
pub fn command(request: &ContainerRequest, image: Option<&Config>) -> Result<Vec<String>> {
    let of_image = |pick: fn(&Config) -> &Option<Vec<String>>| {
        image.and_then(|image| pick(image).clone()).unwrap_or_default()
    };
    let typed = request.command.clone().unwrap_or_default();
    let mut arguments = match &request.entrypoint {
        Some(entrypoint) => entrypoint.clone(),
        None => of_image(Config::entrypoint),
    };
    if arguments.len() == 1 && arguments[0].is_empty() {
        arguments.clear();
    }
    if typed.is_empty() && request.entrypoint.is_none() {
        arguments.extend(of_image(Config::cmd));
    } else {
        arguments.extend(typed);
    }
    if arguments.is_empty() {
        return Err(Error::usage("no command specified")
            .hint("the image has neither an entrypoint nor a command: name one after the image"));
    }
    Ok(arguments)
}

/// The environment: PATH, HOSTNAME and, with a terminal, TERM; over them the image's; over that the request's.
/// HOME is left to the runtime, as docker does: it takes it from the user's line, for each `exec` anew.
pub fn environment(input: &SpecInput) -> Vec<String> {
    let mut environment = vec![DEFAULT_PATH.to_owned()];
    environment.push(format!("HOSTNAME={}", input.hostname()));
    if input.request.tty {
        environment.push("TERM=xterm".to_owned());
    }
    if let Some(image) = input.image.and_then(|image| image.env().as_ref()) {
        merge_environment(&mut environment, image);
    }
    merge_environment(&mut environment, &input.request.env);
    environment
}

/// Lays `over` upon `environment`: `KEY=value` replaces in place or is appended, `KEY` alone removes.
pub fn merge_environment(environment: &mut Vec<String>, over: &[String]) {
    for entry in over {
        let (key, value) = match entry.split_once('=') {
            Some((key, _)) => (key, Some(entry)),
            None => (entry.as_str(), None),
        };
        let place =
            environment.iter().position(|known| known.split_once('=').is_some_and(|(name, _)| name == key));
        match (place, value) {
            (Some(place), Some(entry)) => environment[place].clone_from(entry),
            (Some(place), None) => {
                environment.remove(place);
            }
            (None, Some(entry)) => environment.push(entry.clone()),
            (None, None) => {}
        }
    }
}

/// The working directory: the request's, which must be absolute, else the image's, else `/`. Cleaned.
pub fn working_directory(request: &ContainerRequest, image: Option<&Config>) -> Result<String> {
    let typed = request.working_dir.as_deref().filter(|path| !path.is_empty());
    if let Some(path) = typed.filter(|path| !path.starts_with('/')) {
        return Err(Error::usage(format!(
            "the working directory '{path}' is invalid, it needs to be an absolute path"
        )));
    }
    let path = typed.or_else(|| image.and_then(|image| image.working_dir().as_deref())).unwrap_or("/");
    Ok(clean(path))
}

/// An absolute path without empty parts, `.` and `..`; a relative one counts from the root.
pub fn clean(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// The size of a terminal in its form for a specification.
pub fn console_size(width: u16, height: u16) -> Result<oci_spec::runtime::Box> {
    built(BoxBuilder::default().width(u64::from(width)).height(u64::from(height)).build())
}

/// `--ulimit`: name, soft, hard; -1 is without limit.
fn limits(ulimits: &[(String, i64, i64)]) -> Result<Vec<PosixRlimit>> {
    let unlimited = |value: i64| u64::try_from(value).unwrap_or(u64::MAX);
    let mut limits: Vec<PosixRlimit> = Vec::with_capacity(ulimits.len());
    for (name, soft, hard) in ulimits {
        let kind =
            PosixRlimitType::from_str(&format!("RLIMIT_{}", name.to_ascii_uppercase())).map_err(|_| {
                Error::usage(format!("invalid ulimit type: {name}")).hint("see `ulimit -a` for the kinds")
            })?;
        if unlimited(*soft) > unlimited(*hard) {
            return Err(Error::usage(format!(
                "ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}"
            )));
        }
        let limit = PosixRlimitBuilder::default().typ(kind).soft(unlimited(*soft)).hard(unlimited(*hard));
        let limit = built(limit.build())?;
        match limits.iter_mut().find(|known| known.typ() == kind) {
            Some(known) => *known = limit,
            None => limits.push(limit),
        }
    }
    Ok(limits)
}

fn oom_score(request: &ContainerRequest) -> Result<i32> {
    let score = request.resources.oom_score_adj.unwrap_or_default();
    if (-1000..=1000).contains(&score) {
        Ok(score)
    } else {
        Err(Error::usage(format!("Invalid value {score}, range for oom score adj is [-1000, 1000]")))
    }
}

/// The AppArmor profile. Without one of its own, wharfie takes a well-known one that is loaded.
fn apparmor(input: &SpecInput) -> Option<String> {
    if !input.host.apparmor {
        return None;
    }
    match &input.request.security.apparmor {
        Some(profile) if !profile.is_empty() => Some(profile.clone()),
        _ if input.request.security.privileged => Some("unconfined".into()),
        _ => input.host.apparmor_profile.clone(),
    }
}

#[cfg(test)]
mod tests {
    use oci_spec::image::ConfigBuilder;

    use super::super::spec::tests::Case;
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| text.to_string()).collect()
    }

    #[test]
    fn entrypoint_and_command() {
        type Words = Option<&'static [&'static str]>;
        // image: entrypoint, command; request: entrypoint, command; outcome
        type Row = (Words, Words, Words, Words, Words);
        let table: &[Row] = &[
            (None, Some(&["sh"]), None, None, Some(&["sh"])),
            (Some(&["e"]), Some(&["c"]), None, None, Some(&["e", "c"])),
            (Some(&["e"]), Some(&["c"]), None, Some(&["x", "y"]), Some(&["e", "x", "y"])),
            (Some(&["e"]), Some(&["c"]), None, Some(&[]), Some(&["e", "c"])),
            (Some(&["e"]), Some(&["c"]), Some(&["n"]), None, Some(&["n"])),
            (Some(&["e"]), Some(&["c"]), Some(&["n", "m"]), Some(&["x"]), Some(&["n", "m", "x"])),
            (Some(&["e"]), Some(&["c"]), Some(&[]), Some(&["x"]), Some(&["x"])),
            (Some(&["e"]), Some(&["c"]), Some(&[""]), Some(&["x"]), Some(&["x"])),
            (Some(&["e"]), Some(&["c"]), Some(&[]), None, None),
            (Some(&[""]), None, None, Some(&["x"]), Some(&["x"])),
            (None, None, None, None, None),
            (None, None, None, Some(&["x"]), Some(&["x"])),
        ];
        for (number, (image_entrypoint, image_command, entrypoint, typed, expected)) in
            table.iter().enumerate()
        {
            let mut image = Config::default();
            image.set_entrypoint(image_entrypoint.map(texts));
            image.set_cmd(image_command.map(texts));
            let request = ContainerRequest {
                entrypoint: entrypoint.map(texts),
                command: typed.map(texts),
                ..ContainerRequest::default()
            };
            match (command(&request, Some(&image)), expected) {
                (Ok(found), Some(expected)) => assert_eq!(found, texts(expected), "row {number}"),
                (Err(error), None) => assert_eq!(error.message, "no command specified"),
                (found, _) => panic!("row {number}: {found:?}"),
            }
        }
        assert!(command(&ContainerRequest::default(), None).is_err());
    }

    #[test]
    fn environments_merge() {
        for (image, typed, tty, expected) in [
            (&[][..], &[][..], false, &[DEFAULT_PATH, "HOSTNAME=0123456789ab"][..]),
            (&[], &[], true, &[DEFAULT_PATH, "HOSTNAME=0123456789ab", "TERM=xterm"]),
            (&["PATH=/bin", "A=1"], &[], false, &["PATH=/bin", "HOSTNAME=0123456789ab", "A=1"]),
            (
                &["A=1", "B=2"],
                &["B=3=4", "C=", "A=5", "A=6"],
                false,
                &[DEFAULT_PATH, "HOSTNAME=0123456789ab", "A=6", "B=3=4", "C="],
            ),
            (&["TERM=vt100"], &["HOSTNAME=x"], true, &[DEFAULT_PATH, "HOSTNAME=x", "TERM=vt100"]),
            (&["A=1"], &["A", "PATH"], false, &["HOSTNAME=0123456789ab"]),
        ] {
            let mut case = Case::new();
            case.image = ConfigBuilder::default().env(texts(image)).cmd(texts(&["sh"])).build().unwrap();
            case.request.env = texts(typed);
            case.request.tty = tty;
            assert_eq!(environment(&case.input()), texts(expected));
        }
    }

    #[test]
    fn working_directories() {
        for (image, typed, expected) in [
            (None, None, Some("/")),
            (Some(""), Some(""), Some("/")),
            (Some("/app"), None, Some("/app")),
            (Some("app"), None, Some("/app")),
            (Some("/app"), Some("/x//y/../z/."), Some("/x/z")),
            (None, Some("/../.."), Some("/")),
            (None, Some("x"), None),
        ] {
            let mut config = Config::default();
            config.set_working_dir(image.map(str::to_owned));
            let request =
                ContainerRequest { working_dir: typed.map(str::to_owned), ..ContainerRequest::default() };
            match expected {
                Some(expected) => assert_eq!(working_directory(&request, Some(&config)).unwrap(), expected),
                None => assert_eq!(
                    working_directory(&request, Some(&config)).unwrap_err().message,
                    "the working directory 'x' is invalid, it needs to be an absolute path"
                ),
            }
        }
    }

    #[test]
    fn users() {
        let mut config = Config::default();
        config.set_user(Some("app".into()));
        let mut request = ContainerRequest::default();
        assert_eq!(user(&request, None), "");
        assert_eq!(user(&request, Some(&config)), "app");
        request.user = Some("1:2".into());
        assert_eq!(user(&request, Some(&config)), "1:2");
    }

    #[test]
    fn ulimits() {
        let found =
            limits(&[("nofile".into(), 1, 2), ("CORE".into(), 0, -1), ("nofile".into(), 3, 4)]).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].typ(), found[0].soft(), found[0].hard()), (PosixRlimitType::RlimitNofile, 3, 4));
        assert_eq!((found[1].soft(), found[1].hard()), (0, u64::MAX));
        assert_eq!(limits(&[("nope".into(), 1, 2)]).unwrap_err().message, "invalid ulimit type: nope");
        assert!(limits(&[("core".into(), -1, 2)]).unwrap_err().message.contains("soft limit must be less"));
    }

    #[test]
    fn init_runs_only_in_a_namespace_of_its_own() {
        let mut case = Case::new();
        case.request.init = true;
        case.init = Some("/usr/bin/tini".into());
        let process = process(&case.input(), 0).unwrap();
        assert_eq!(process.args().as_ref().unwrap()[..3], ["/sbin/docker-init", "--", "sh"]);
        case.request.namespaces.pid = Some("host".into());
        assert!(!wants_init(&case.request));
    }

    #[test]
    fn apparmor_profiles() {
        let mut case = Case::new();
        assert_eq!(apparmor(&case.input()), None);
        case.request.security.apparmor = Some("mine".into());
        assert_eq!(apparmor(&case.input()), None, "the machine has no AppArmor");
        case.host.apparmor = true;
        assert_eq!(apparmor(&case.input()).as_deref(), Some("mine"));
        case.request.security.apparmor = None;
        assert_eq!(apparmor(&case.input()), None, "no known profile is loaded");
        case.host.apparmor_profile = Some("docker-default".into());
        assert_eq!(apparmor(&case.input()).as_deref(), Some("docker-default"));
        case.request.security.privileged = true;
        assert_eq!(apparmor(&case.input()).as_deref(), Some("unconfined"));
    }

    #[test]
    fn oom_scores() {
        let mut request = ContainerRequest::default();
        for (score, good) in [(0, true), (-1000, true), (1000, true), (1001, false), (-1001, false)] {
            request.resources.oom_score_adj = Some(score);
            assert_eq!(oom_score(&request).is_ok(), good, "{score}");
        }
    }
}
