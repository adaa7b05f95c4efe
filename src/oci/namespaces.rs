//! Which namespaces a container has of its own, and which it shares with the host or another container.

use std::path::PathBuf;

use oci_spec::runtime::{
    LinuxIdMapping, LinuxIdMappingBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType as Kind,
};

use super::built;
use super::request::{ContainerRequest, NetworkMode};
use crate::sys::host::{CgroupVersion, Host};
use crate::{Error, Result};

/// Paths of namespaces that exist already: the network's that was made for this container, and
/// `/proc/PID/ns/…` of the containers named by `container:ID`.
#[derive(Debug, Clone, Default)]
pub struct NamespacePaths {
    /// The network namespace; the runtime makes an empty one where it is None and not the host's.
    pub network: Option<PathBuf>,
    /// The pid namespace of `--pid container:ID`.
    pub pid: Option<PathBuf>,
    /// The ipc namespace of `--ipc container:ID`.
    pub ipc: Option<PathBuf>,
    /// The uts namespace of another container, for `debug`.
    pub uts: Option<PathBuf>,
    /// The user namespace of another container, where it has one of its own.
    pub user: Option<UserNamespace>,
}

/// A user namespace that exists already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserNamespace {
    /// Its path.
    pub path: PathBuf,
    /// Which users of this machine its users are; runc before 1.1.11 asks for them, later ones compare.
    pub uids: Vec<IdRange>,
    /// Likewise for groups.
    pub gids: Vec<IdRange>,
}

/// A row of `/proc/PID/uid_map`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IdRange {
    /// The first one inside.
    pub inside: u32,
    /// The first one on this machine.
    pub outside: u32,
    /// How many.
    pub count: u32,
}

impl IdRange {
    fn in_spec(self) -> Result<LinuxIdMapping> {
        let mapping = LinuxIdMappingBuilder::default().container_id(self.inside).host_id(self.outside);
        built(mapping.size(self.count).build())
    }
}

/// A user namespace's map, as a specification has it.
pub fn id_mappings(ranges: &[IdRange]) -> Result<Vec<LinuxIdMapping>> {
    ranges.iter().map(|range| range.in_spec()).collect()
}

/// A namespace setting, understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// One of its own.
    Private,
    /// The host's.
    Host,
    /// Another container's.
    Container,
}

/// `--pid`.
pub fn pid(request: &ContainerRequest) -> Result<Share> {
    share(request.namespaces.pid.as_deref(), &[]).ok_or_else(|| invalid("PID", &request.namespaces.pid))
}

/// `--ipc`.
pub fn ipc(request: &ContainerRequest) -> Result<Share> {
    share(request.namespaces.ipc.as_deref(), &["private", "shareable", "none"])
        .ok_or_else(|| invalid("IPC", &request.namespaces.ipc))
}

/// `--uts`, which names another container for `debug` alone.
pub fn uts(request: &ContainerRequest) -> Result<Share> {
    share(request.namespaces.uts.as_deref(), &[])
        .filter(|share| *share != Share::Container || request.beside.is_some())
        .ok_or_else(|| invalid("UTS", &request.namespaces.uts))
}

/// `--userns`, which names another container for `debug` alone.
fn user(request: &ContainerRequest) -> Result<Share> {
    match request.namespaces.user.as_deref().unwrap_or_default() {
        "" | "host" => Ok(Share::Host),
        other if request.beside.is_some() && other.starts_with("container:") => Ok(Share::Container),
        other => {
            Err(Error::usage(format!("invalid user namespace mode: {other}"))
                .hint("only `host` is supported"))
        }
    }
}

/// `--cgroupns`: by default private where groups are unified, the host's elsewhere.
pub fn cgroup(request: &ContainerRequest, host: &Host) -> Result<Share> {
    match request.namespaces.cgroup.as_deref().unwrap_or_default() {
        "" if host.cgroup == CgroupVersion::V1 => Ok(Share::Host),
        "" | "private" => Ok(Share::Private),
        "host" => Ok(Share::Host),
        other => Err(Error::usage(format!("invalid cgroup namespace mode: {other}"))),
    }
}

/// Whether the network is neither the host's nor another container's.
pub fn own_network(request: &ContainerRequest) -> bool {
    matches!(request.network.mode, NetworkMode::Bridge | NetworkMode::None)
}

/// The list for the specification.
pub fn namespaces(
    request: &ContainerRequest,
    paths: &NamespacePaths,
    host: &Host,
) -> Result<Vec<LinuxNamespace>> {
    let mut list = vec![namespace(Kind::Mount, None)?];
    // One that the other container shares with the machine is ours already.
    if let (Share::Container, Some(user)) = (user(request)?, &paths.user) {
        list.push(namespace(Kind::User, Some(user.path.clone()))?);
    }
    match (&request.network.mode, &paths.network) {
        (NetworkMode::Host, _) => {}
        (NetworkMode::Container(of), None) => return Err(not_running(of)),
        (_, path) => list.push(namespace(Kind::Network, path.clone())?),
    }
    shared(&mut list, Kind::Uts, (uts(request)?, &paths.uts, &request.namespaces.uts))?;
    shared(&mut list, Kind::Pid, (pid(request)?, &paths.pid, &request.namespaces.pid))?;
    shared(&mut list, Kind::Ipc, (ipc(request)?, &paths.ipc, &request.namespaces.ipc))?;
    if cgroup(request, host)? == Share::Private {
        list.push(namespace(Kind::Cgroup, None)?);
    }
    Ok(list)
}

fn shared(
    list: &mut Vec<LinuxNamespace>,
    kind: Kind,
    (share, path, text): (Share, &Option<PathBuf>, &Option<String>),
) -> Result<()> {
    match (share, path) {
        (Share::Host, _) => {}
        (Share::Private, _) => list.push(namespace(kind, None)?),
        (Share::Container, Some(path)) => list.push(namespace(kind, Some(path.clone()))?),
        (Share::Container, None) => {
            let of = text.as_deref().unwrap_or_default();
            return Err(not_running(of.strip_prefix("container:").unwrap_or(of)));
        }
    }
    Ok(())
}

fn namespace(kind: Kind, path: Option<PathBuf>) -> Result<LinuxNamespace> {
    let namespace = LinuxNamespaceBuilder::default().typ(kind);
    built(match path {
        Some(path) => namespace.path(path).build(),
        None => namespace.build(),
    })
}

fn share(text: Option<&str>, private: &[&str]) -> Option<Share> {
    match text.unwrap_or_default() {
        "" => Some(Share::Private),
        "host" => Some(Share::Host),
        text if private.contains(&text) => Some(Share::Private),
        text => text.strip_prefix("container:").filter(|id| !id.is_empty()).map(|_| Share::Container),
    }
}

fn invalid(kind: &str, text: &Option<String>) -> Error {
    Error::usage(format!("invalid {kind} mode: {}", text.as_deref().unwrap_or_default()))
}

fn not_running(container: &str) -> Error {
    Error::conflict(format!(
        "cannot join namespace of a non running container: container {container} is not running"
    ))
    .hint(format!("start it first: wharfie start {container}"))
}

#[cfg(test)]
mod tests {
    use super::super::spec::tests::host;
    use super::*;

    fn kinds(list: &[LinuxNamespace]) -> Vec<(String, Option<String>)> {
        list.iter()
            .map(|namespace| {
                let path = namespace.path().as_ref().map(|path| path.display().to_string());
                (namespace.typ().to_string(), path)
            })
            .collect()
    }

    fn list(request: &ContainerRequest, paths: &NamespacePaths, host: &Host) -> Vec<String> {
        kinds(&namespaces(request, paths, host).unwrap())
            .into_iter()
            .map(|(kind, path)| path.map_or(kind.clone(), |path| format!("{kind}={path}")))
            .collect()
    }

    #[test]
    fn defaults_by_cgroup_version() {
        let request = ContainerRequest::default();
        let mut host = host();
        let none = NamespacePaths::default();
        assert_eq!(list(&request, &none, &host), ["mnt", "net", "uts", "pid", "ipc", "cgroup"]);
        host.cgroup = CgroupVersion::V1;
        assert_eq!(list(&request, &none, &host), ["mnt", "net", "uts", "pid", "ipc"]);
    }

    #[test]
    fn shared_with_host_and_containers() {
        let mut request = ContainerRequest::default();
        request.network.mode = NetworkMode::Host;
        request.namespaces.pid = Some("host".into());
        request.namespaces.ipc = Some("host".into());
        request.namespaces.uts = Some("host".into());
        request.namespaces.cgroup = Some("host".into());
        request.namespaces.user = Some("host".into());
        assert_eq!(list(&request, &NamespacePaths::default(), &host()), ["mnt"]);

        let mut request = ContainerRequest::default();
        request.network.mode = NetworkMode::Container("a".into());
        request.namespaces.pid = Some("container:a".into());
        request.namespaces.ipc = Some("container:a".into());
        let missing = namespaces(&request, &NamespacePaths::default(), &host()).unwrap_err();
        assert_eq!(missing.kind, crate::Kind::Conflict);
        let mut paths = NamespacePaths {
            network: Some("/n".into()),
            pid: Some("/p".into()),
            ipc: Some("/i".into()),
            ..NamespacePaths::default()
        };
        assert_eq!(list(&request, &paths, &host()), ["mnt", "net=/n", "uts", "pid=/p", "ipc=/i", "cgroup"]);
        // Beside another container, whose user namespace may be the machine's.
        request.beside = Some(super::super::beside::Beside::default());
        request.namespaces.uts = Some("container:a".into());
        request.namespaces.user = Some("container:a".into());
        paths.uts = Some("/t".into());
        let beside = ["mnt", "net=/n", "uts=/t", "pid=/p", "ipc=/i", "cgroup"];
        assert_eq!(list(&request, &paths, &host()), beside);
        paths.user = Some(UserNamespace { path: "/u".into(), ..UserNamespace::default() });
        let beside = ["mnt", "user=/u", "net=/n", "uts=/t", "pid=/p", "ipc=/i", "cgroup"];
        assert_eq!(list(&request, &paths, &host()), beside);
        request.namespaces.ipc = Some("shareable".into());
        assert_eq!(ipc(&request).unwrap(), Share::Private);
    }

    #[test]
    fn invalid_modes() {
        let set = |change: fn(&mut ContainerRequest)| {
            let mut request = ContainerRequest::default();
            change(&mut request);
            namespaces(&request, &NamespacePaths::default(), &host()).unwrap_err().message
        };
        assert_eq!(set(|request| request.namespaces.pid = Some("x".into())), "invalid PID mode: x");
        assert_eq!(
            set(|request| request.namespaces.pid = Some("container:".into())),
            "invalid PID mode: container:"
        );
        assert_eq!(set(|request| request.namespaces.ipc = Some("x".into())), "invalid IPC mode: x");
        assert_eq!(
            set(|request| request.namespaces.uts = Some("container:a".into())),
            "invalid UTS mode: container:a"
        );
        assert_eq!(
            set(|request| request.namespaces.cgroup = Some("x".into())),
            "invalid cgroup namespace mode: x"
        );
        assert_eq!(
            set(|request| request.namespaces.user = Some("x".into())),
            "invalid user namespace mode: x"
        );
    }
}
