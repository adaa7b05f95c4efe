//! Which system calls a container may make: docker's default filter, a profile in docker's JSON form, or none.

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction as Action, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompBuilder, LinuxSeccompFilterFlag, LinuxSeccompOperator as Operator, LinuxSyscall,
    LinuxSyscallBuilder,
};
use serde::Deserialize;

use super::request::{Seccomp, Security};
use super::seccomp_rules::{ARCHITECTURES, Condition, RULES, SOCKET_FAMILIES, SOCKET_FAMILIES_BELOW};
use super::{built, capabilities};
use crate::sys::host::Host;
use crate::{Error, Result};

const EPERM: u32 = 1;

/// The filter of a container with the capabilities `granted`; None is no filter.
pub fn filter(security: &Security, granted: u64, host: &Host) -> Result<Option<LinuxSeccomp>> {
    match &security.seccomp {
        // A privileged container is free of the default filter, but not of one that was asked for.
        Seccomp::Default if security.privileged => Ok(None),
        Seccomp::Default => default_filter(granted, host).map(Some),
        Seccomp::Unconfined => Ok(None),
        Seccomp::Profile(profile) => custom(profile, granted, host),
    }
}

fn default_filter(granted: u64, host: &Host) -> Result<LinuxSeccomp> {
    let mut calls = Vec::with_capacity(RULES.len() + SOCKET_FAMILIES.len() + 1);
    for rule in
        RULES.iter().filter(|rule| met(&rule.when, granted, host) && !any(&rule.unless, granted, host))
    {
        let arguments = rule
            .arguments
            .iter()
            .map(|&(index, operator, value)| argument(index, operator, value))
            .collect::<Result<Vec<_>>>()?;
        calls.push(call(rule.names, rule.errno, arguments)?);
    }
    // Two conditions on one argument would be alternatives to runc, so each family is a rule of its own.
    let below = argument(0, Operator::ScmpCmpLt, SOCKET_FAMILIES_BELOW)?;
    calls.push(call("socket", None, vec![below])?);
    for &(mask, family) in SOCKET_FAMILIES {
        let argument = LinuxSeccompArgBuilder::default().index(0_usize).op(Operator::ScmpCmpMaskedEq);
        let argument = built(argument.value(mask).value_two(family).build())?;
        calls.push(call("socket", None, vec![argument])?);
    }
    let mut filter = LinuxSeccompBuilder::default()
        .default_action(Action::ScmpActErrno)
        .default_errno_ret(EPERM)
        .syscalls(calls);
    if let Some((_, architectures)) = ARCHITECTURES.iter().find(|(name, _)| *name == host.architecture) {
        filter = filter.architectures(*architectures);
    }
    built(filter.build())
}

fn call(names: &str, errno: Option<u32>, arguments: Vec<LinuxSeccompArg>) -> Result<LinuxSyscall> {
    let mut call = LinuxSyscallBuilder::default()
        .names(names.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .action(if errno.is_some() { Action::ScmpActErrno } else { Action::ScmpActAllow });
    if let Some(errno) = errno {
        call = call.errno_ret(errno);
    }
    if !arguments.is_empty() {
        call = call.args(arguments);
    }
    built(call.build())
}

fn argument(index: usize, operator: Operator, value: u64) -> Result<LinuxSeccompArg> {
    let argument = LinuxSeccompArgBuilder::default().index(index).value(value).op(operator);
    // The mask is the value; what must be left of it is nothing.
    let argument = if operator == Operator::ScmpCmpMaskedEq { argument.value_two(0_u64) } else { argument };
    built(argument.build())
}

fn met(condition: &Condition, granted: u64, host: &Host) -> bool {
    condition.kernel.is_none_or(|least| host.kernel >= least)
        && (condition.architectures.is_empty() || condition.architectures.contains(&host.architecture))
        && condition.capabilities.iter().all(|name| holds(name, granted))
}

fn any(condition: &Condition, granted: u64, host: &Host) -> bool {
    condition.kernel.is_some_and(|least| host.kernel >= least)
        || condition.architectures.contains(&host.architecture)
        || condition.capabilities.iter().any(|name| holds(name, granted))
}

fn holds(name: &str, granted: u64) -> bool {
    capabilities::bit(name).is_some_and(|bit| granted & bit != 0)
}

/// A profile in docker's form.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    #[serde(default)]
    default_action: Option<Action>,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<Arch>>,
    arch_map: Option<Vec<Family>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<String>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<Call>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    architecture: Arch,
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Call {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: Action,
    errno_ret: Option<u32>,
    args: Option<Vec<LinuxSeccompArg>>,
    includes: Option<Filter>,
    excludes: Option<Filter>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

fn custom(profile: &serde_json::Value, granted: u64, host: &Host) -> Result<Option<LinuxSeccomp>> {
    let profile: Profile = Profile::deserialize(profile)
        .map_err(|cause| Error::usage(format!("Decoding seccomp profile failed: {cause}")))?;
    let calls = profile.syscalls.unwrap_or_default();
    let Some(default_action) = profile.default_action else {
        if calls.is_empty() {
            return Ok(None);
        }
        return Err(Error::usage("Decoding seccomp profile failed: missing field `defaultAction`"));
    };
    let mut architectures = profile.architectures.unwrap_or_default();
    let families = profile.arch_map.unwrap_or_default();
    if !architectures.is_empty() && !families.is_empty() {
        return Err(Error::usage(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, use either 'architectures' or 'archMap'",
        ));
    }
    let native = ARCHITECTURES.iter().find(|(name, _)| *name == host.architecture).map(|(_, list)| list[0]);
    if let Some(family) = families.into_iter().find(|family| Some(family.architecture) == native) {
        architectures.push(family.architecture);
        architectures.extend(family.sub_architectures.unwrap_or_default());
    }
    let mut filter = LinuxSeccompBuilder::default().default_action(default_action);
    if let Some(errno) = profile.default_errno_ret {
        filter = filter.default_errno_ret(errno);
    }
    if !architectures.is_empty() {
        filter = filter.architectures(architectures);
    }
    if let Some(flags) = profile.flags {
        filter = filter.flags(flags);
    }
    if let Some(path) = profile.listener_path.filter(|path| !path.is_empty()) {
        filter = filter.listener_path(path);
    }
    if let Some(metadata) = profile.listener_metadata.filter(|text| !text.is_empty()) {
        filter = filter.listener_metadata(metadata);
    }
    let mut kept = Vec::with_capacity(calls.len());
    for call in calls {
        if let Some(call) = call.settle(granted, host)? {
            kept.push(call);
        }
    }
    built(filter.syscalls(kept).build()).map(Some)
}

impl Call {
    /// The rule without its conditions, or None where they do not hold.
    fn settle(self, granted: u64, host: &Host) -> Result<Option<LinuxSyscall>> {
        let names = match (self.name.filter(|name| !name.is_empty()), self.names.unwrap_or_default()) {
            (Some(name), names) if names.is_empty() => vec![name],
            (Some(_), _) => {
                return Err(Error::usage(
                    "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'",
                ));
            }
            (None, names) => names,
        };
        let includes = self.includes.unwrap_or_default();
        let excludes = self.excludes.unwrap_or_default();
        let arches = includes.arches.unwrap_or_default();
        let kernel = includes.min_kernel.map(|text| version(&text)).transpose()?;
        let included = (arches.is_empty() || arches.iter().any(|arch| same_architecture(arch, host)))
            && includes.caps.unwrap_or_default().iter().all(|name| holds(name, granted))
            && kernel.is_none_or(|least| host.kernel >= least);
        let kernel = excludes.min_kernel.map(|text| version(&text)).transpose()?;
        let excluded = excludes.arches.unwrap_or_default().iter().any(|arch| same_architecture(arch, host))
            || excludes.caps.unwrap_or_default().iter().any(|name| holds(name, granted))
            || kernel.is_some_and(|least| host.kernel >= least);
        if !included || excluded {
            return Ok(None);
        }
        let mut call = LinuxSyscallBuilder::default().names(names).action(self.action);
        if let Some(errno) = self.errno_ret {
            call = call.errno_ret(errno);
        }
        if let Some(arguments) = self.args.filter(|arguments| !arguments.is_empty()) {
            call = call.args(arguments);
        }
        built(call.build()).map(Some)
    }
}

/// Profiles call the 32-bit Intel architecture x86, and loong64 loongarch64.
fn same_architecture(name: &str, host: &Host) -> bool {
    match name {
        "x86" => host.architecture == "386",
        "loongarch64" => host.architecture == "loong64",
        other => host.architecture == other,
    }
}

fn version(text: &str) -> Result<(u32, u32)> {
    text.split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
        .ok_or_else(|| {
            Error::usage(format!(
                "Decoding seccomp profile failed: invalid kernel version: {text}, expected <kernel>.<major>"
            ))
        })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::spec::tests::host;
    use super::*;

    fn names(filter: &LinuxSeccomp, action: Action) -> Vec<String> {
        let calls = filter.syscalls().as_ref().unwrap();
        calls.iter().filter(|call| call.action() == action).flat_map(|call| call.names().clone()).collect()
    }

    fn rules_for<'a>(filter: &'a LinuxSeccomp, name: &str) -> Vec<&'a LinuxSyscall> {
        let calls = filter.syscalls().as_ref().unwrap();
        calls.iter().filter(|call| call.names().iter().any(|found| found == name)).collect()
    }

    #[test]
    fn the_default_filter() {
        let filter = filter(&Security::default(), capabilities::DEFAULT, &host()).unwrap().unwrap();
        assert_eq!(filter.default_action(), Action::ScmpActErrno);
        assert_eq!(filter.default_errno_ret(), Some(1));
        let allowed = names(&filter, Action::ScmpActAllow);
        for name in ["read", "openat2", "ptrace", "chroot", "arch_prctl", "modify_ldt", "clone", "io_setup"] {
            assert!(allowed.iter().any(|found| found == name), "{name} is missing");
        }
        for name in
            ["mount", "keyctl", "add_key", "bpf", "reboot", "unshare", "io_uring_setup", "userfaultfd"]
        {
            assert!(!allowed.iter().any(|found| found == name), "{name} is allowed");
        }
        assert_eq!(names(&filter, Action::ScmpActErrno), ["clone3"]);
        assert_eq!(rules_for(&filter, "clone3")[0].errno_ret(), Some(38));
        let clone = rules_for(&filter, "clone");
        assert_eq!(clone.len(), 1);
        let argument = clone[0].args().as_ref().unwrap()[0];
        assert_eq!((argument.index(), argument.value(), argument.value_two()), (0, 2_114_060_288, Some(0)));
        assert_eq!(filter.architectures().as_ref().unwrap().len(), 3);
    }

    #[test]
    fn the_unconditional_list_is_whole_and_without_repeats() {
        let mut names: Vec<_> = RULES[0].names.split_whitespace().collect();
        let before = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), before);
        assert_eq!(names.len(), 361);
    }

    #[test]
    fn socket_families() {
        let filter = filter(&Security::default(), capabilities::DEFAULT, &host()).unwrap().unwrap();
        let allows = |family: u64| {
            rules_for(&filter, "socket").iter().any(|call| {
                let argument = call.args().as_ref().unwrap()[0];
                match argument.op() {
                    Operator::ScmpCmpLt => family < argument.value(),
                    Operator::ScmpCmpMaskedEq => Some(family & argument.value()) == argument.value_two(),
                    _ => false,
                }
            })
        };
        for family in
            (0..12).chain(13..19).chain([21, 22, 24]).chain(26..34).chain([35, 36, 39]).chain(41..46)
        {
            assert!(allows(family), "{family}");
        }
        for family in [12, 19, 20, 23, 25, 34, 37, 38, 40].into_iter().chain(46..80) {
            assert!(!allows(family), "{family}");
        }
    }

    #[test]
    fn capabilities_open_system_calls() {
        for (capability, name) in [
            ("SYS_ADMIN", "mount"),
            ("SYS_ADMIN", "clone3"),
            ("SYS_BOOT", "reboot"),
            ("SYS_MODULE", "init_module"),
            ("SYS_TIME", "clock_settime"),
            ("SYSLOG", "syslog"),
            ("BPF", "bpf"),
            ("PERFMON", "perf_event_open"),
            ("DAC_READ_SEARCH", "open_by_handle_at"),
            ("SYS_NICE", "mbind"),
        ] {
            let with = capabilities::DEFAULT | capabilities::bit(capability).unwrap();
            for (granted, expected) in [(capabilities::DEFAULT, false), (with, true)] {
                let filter = filter(&Security::default(), granted, &host()).unwrap().unwrap();
                let allowed = names(&filter, Action::ScmpActAllow).iter().any(|found| found == name);
                assert_eq!(allowed, expected, "{capability}: {name}");
            }
        }
    }

    #[test]
    fn kernel_and_architecture_decide() {
        let mut old = host();
        old.kernel = (4, 4);
        old.architecture = "arm64";
        let filter = filter(&Security::default(), capabilities::DEFAULT, &old).unwrap().unwrap();
        let allowed = names(&filter, Action::ScmpActAllow);
        assert!(!allowed.iter().any(|name| name == "ptrace" || name == "arch_prctl"));
        assert!(allowed.iter().any(|name| name == "cacheflush"));
        assert_eq!(filter.architectures().as_ref().unwrap(), &[Arch::ScmpArchAarch64, Arch::ScmpArchArm]);
    }

    #[test]
    fn privileged_and_unconfined_have_none() {
        let privileged = Security { privileged: true, ..Security::default() };
        assert!(filter(&privileged, 0, &host()).unwrap().is_none());
        let unconfined = Security { seccomp: Seccomp::Unconfined, ..Security::default() };
        assert!(filter(&unconfined, 0, &host()).unwrap().is_none());
    }

    fn with_profile(profile: serde_json::Value) -> Result<Option<LinuxSeccomp>> {
        let security = Security { seccomp: Seccomp::Profile(profile), ..Security::default() };
        filter(&security, capabilities::DEFAULT, &host())
    }

    #[test]
    fn a_profile_of_the_users() {
        let filter = with_profile(json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "archMap": [
                {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                {"architecture": "SCMP_ARCH_RISCV64", "subArchitectures": null}
            ],
            "syscalls": [
                {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "args": null, "comment": "x",
                 "includes": {}, "excludes": {}},
                {"name": "chmod", "action": "SCMP_ACT_ERRNO", "errnoRet": 5,
                 "args": [{"index": 1, "value": 2, "valueTwo": 0, "op": "SCMP_CMP_EQ"}]},
                {"names": ["a"], "action": "SCMP_ACT_LOG", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["b"], "action": "SCMP_ACT_LOG", "includes": {"minKernel": "99.0"}},
                {"names": ["c"], "action": "SCMP_ACT_LOG", "excludes": {"arches": ["amd64"]}},
                {"names": ["d"], "action": "SCMP_ACT_LOG", "excludes": {"caps": ["CAP_CHOWN"]}}
            ]
        }))
        .unwrap()
        .unwrap();
        assert_eq!(names(&filter, Action::ScmpActErrno), ["mkdir", "mkdirat", "chmod"]);
        assert!(names(&filter, Action::ScmpActLog).is_empty());
        assert_eq!(filter.architectures().as_ref().unwrap(), &[Arch::ScmpArchX86_64, Arch::ScmpArchX86]);
        assert!(with_profile(json!({})).unwrap().is_none());
    }

    #[test]
    fn faulty_profiles_are_refused() {
        for (profile, expected) in [
            (json!("x"), "Decoding seccomp profile failed"),
            (json!({"defaultAction": "NOPE"}), "Decoding seccomp profile failed"),
            (json!({"syscalls": [{"names": ["a"], "action": "SCMP_ACT_LOG"}]}), "defaultAction"),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
                       "archMap": [{"architecture": "SCMP_ARCH_X86"}]}),
                "both 'architectures' and 'archMap'",
            ),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW",
                       "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_LOG"}]}),
                "both 'name' and 'names'",
            ),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
                    {"name": "a", "action": "SCMP_ACT_LOG", "includes": {"minKernel": "x"}}]}),
                "invalid kernel version",
            ),
        ] {
            let message = with_profile(profile).unwrap_err().message;
            assert!(message.contains(expected), "{message}");
        }
    }
}
