//! A further process in a running container: docker's rules for `exec`.

use oci_spec::runtime::{Process, Spec};

use super::capabilities;
use super::process::{clean, merge_environment};
use super::request::ExecRequest;
use super::user::ResolvedUser;
use crate::{Error, Result};

/// The process of `request` in the container of `spec`. `user` is who was asked for, looked up in the
/// container; None runs as the container's user. `available` is the machine's set of capabilities.
pub fn process(
    spec: &Spec,
    request: &ExecRequest,
    user: Option<&ResolvedUser>,
    available: u64,
) -> Result<Process> {
    let first = spec.process().as_ref().ok_or_else(|| {
        Error::failed("the container's record has no process")
            .hint("it was not made by an engine for containers")
    })?;
    if request.args.is_empty() {
        return Err(Error::usage("no exec command specified"));
    }
    let mut process = first.clone();
    let mut environment = first.env().clone().unwrap_or_default();
    // TERM is there for the container's own terminal: a process has it for its own only.
    if first.terminal() == Some(true) && !request.tty {
        environment.retain(|entry| entry != "TERM=xterm");
    }
    if request.tty && !environment.iter().any(|entry| entry.starts_with("TERM=")) {
        environment.push("TERM=xterm".into());
    }
    merge_environment(&mut environment, &request.env);
    process.set_args(Some(request.args.clone())).set_env(Some(environment)).set_terminal(Some(request.tty));
    if let Some(directory) = request.working_dir.as_deref().filter(|directory| !directory.is_empty()) {
        if !directory.starts_with('/') {
            return Err(Error::usage(format!(
                "the working directory '{directory}' is invalid, it needs to be an absolute path"
            )));
        }
        process.set_cwd(clean(directory).into());
    }
    if let Some(user) = user {
        process.set_user(user.in_spec()?);
    }
    if request.privileged {
        process.set_capabilities(Some(capabilities::in_spec(available & capabilities::KNOWN)?));
    }
    Ok(process)
}

#[cfg(test)]
mod tests {
    use super::super::spec::spec;
    use super::super::spec::tests::Case;
    use super::super::user::resolve;
    use super::*;

    fn request(command: &[&str]) -> ExecRequest {
        ExecRequest { args: command.iter().map(|text| text.to_string()).collect(), ..ExecRequest::default() }
    }

    #[test]
    fn the_containers_settings_are_kept() {
        let mut case = Case::new();
        case.request.env = vec!["A=1".into()];
        case.request.working_dir = Some("/app".into());
        case.user = resolve("5:6", &["7".into()], None, None).unwrap();
        case.request.security.no_new_privileges = true;
        let spec = spec(&case.input()).unwrap();
        let found = process(&spec, &request(&["ls", "-l"]), None, u64::MAX).unwrap();
        assert_eq!(found.args().as_ref().unwrap(), &["ls", "-l"]);
        assert_eq!(found.cwd().to_str(), Some("/app"));
        assert_eq!((found.user().uid(), found.user().gid()), (5, 6));
        assert_eq!(found.user().additional_gids().as_ref().unwrap(), &[6, 7]);
        assert!(found.env().as_ref().unwrap().contains(&"A=1".to_owned()));
        assert_eq!(found.no_new_privileges(), Some(true));
        assert_eq!(found.capabilities(), spec.process().as_ref().unwrap().capabilities());
        assert_eq!(found.terminal(), Some(false));
    }

    #[test]
    fn the_requests_settings_come_over_them() {
        let mut case = Case::new();
        case.request.tty = true;
        let spec = spec(&case.input()).unwrap();
        let mut wanted = request(&["sh"]);
        wanted.env = vec!["B=2".into(), "PATH=/x".into(), "HOSTNAME".into()];
        wanted.working_dir = Some("/tmp/../var".into());
        wanted.privileged = true;
        let user = resolve("9", &[], None, None).unwrap();
        let found = process(&spec, &wanted, Some(&user), u64::MAX).unwrap();
        assert_eq!(found.env().as_ref().unwrap(), &["PATH=/x", "B=2"]);
        assert_eq!(found.cwd().to_str(), Some("/var"));
        assert_eq!(found.user().uid(), 9);
        let bounding = found.capabilities().as_ref().unwrap().bounding().as_ref().unwrap().len();
        assert_eq!(bounding, 41);
    }

    #[test]
    fn terminals() {
        for (container, exec, terms) in
            [(false, false, 0), (false, true, 1), (true, false, 0), (true, true, 1)]
        {
            let mut case = Case::new();
            case.request.tty = container;
            let mut wanted = request(&["sh"]);
            wanted.tty = exec;
            let found = process(&spec(&case.input()).unwrap(), &wanted, None, 0).unwrap();
            let count = found.env().as_ref().unwrap().iter().filter(|entry| *entry == "TERM=xterm").count();
            assert_eq!(count, terms, "{container} {exec}");
        }
    }

    #[test]
    fn faulty_requests_are_refused() {
        let spec = spec(&Case::new().input()).unwrap();
        assert_eq!(process(&spec, &request(&[]), None, 0).unwrap_err().message, "no exec command specified");
        let mut relative = request(&["sh"]);
        relative.working_dir = Some("x".into());
        assert!(process(&spec, &relative, None, 0).unwrap_err().message.contains("absolute path"));
    }
}
