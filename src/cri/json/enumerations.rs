//! Which fields hold enumerations: in the messages they are bare numbers.

use super::super::api;

/// A number's name, and a name's number.
pub(super) struct Enumeration {
    pub(super) name: fn(i32) -> Option<&'static str>,
    pub(super) number: fn(&str) -> Option<i32>,
}

macro_rules! enumerations {
    ($($kind:path: $(($message:literal, $field:literal)),+;)*) => {
        /// The enumeration that a message's field holds; None where it holds another kind of value.
        pub(super) fn enumeration(message: &str, field: &str) -> Option<Enumeration> {
            match (message, field) {
                $($(($message, $field))|+ => Some(Enumeration {
                    name: |number| <$kind>::try_from(number).ok().map(|kind| kind.as_str_name()),
                    number: |name| <$kind>::from_str_name(name).map(|kind| kind as i32),
                }),)*
                _ => None,
            }
        }

        /// Every field that holds one.
        #[cfg(test)]
        pub(super) const FIELDS: &[(&str, &str)] = &[$($(($message, $field)),+),*];
    };
}

enumerations! {
    api::Protocol: ("PortMapping", "protocol");
    api::MountPropagation: ("Mount", "propagation");
    api::NamespaceMode: ("UserNamespace", "mode"), ("NamespaceOption", "network"), ("NamespaceOption", "pid"),
        ("NamespaceOption", "ipc"), ("WindowsNamespaceOption", "network");
    api::SupplementalGroupsPolicy: ("LinuxSandboxSecurityContext", "supplemental_groups_policy"),
        ("LinuxContainerSecurityContext", "supplemental_groups_policy");
    api::security_profile::ProfileType: ("SecurityProfile", "profile_type");
    api::PodSandboxState: ("PodSandboxStatus", "state"), ("PodSandboxStateValue", "state"), ("PodSandbox", "state");
    api::ContainerState: ("ContainerStateValue", "state"), ("Container", "state"), ("ContainerStatus", "state");
    api::ContainerEventType: ("ContainerEventResponse", "container_event_type");
    api::MetricType: ("Metric", "metric_type");
    api::CgroupDriver: ("LinuxRuntimeConfiguration", "cgroup_driver");
}
