//! What protobuf's JSON says of each kind of field, and what people leave out.

use serde_json::{Value, json};

use super::super::api;
use super::{camel, from_value, schema, to_value};

#[test]
fn names_are_camel_case() {
    for (field, name) in [
        ("id", "id"),
        ("created_at", "createdAt"),
        ("usage_core_nano_seconds", "usageCoreNanoSeconds"),
        ("run_as_user", "runAsUser"),
    ] {
        assert_eq!(camel(field), name);
    }
}

#[test]
fn a_pod_is_written_as_protobuf_does() {
    let pod = api::PodSandbox {
        id: "abc".into(),
        metadata: Some(api::PodSandboxMetadata { name: "web".into(), attempt: 2, ..Default::default() }),
        state: 1,
        created_at: 1_700_000_000_123_456_789,
        labels: [("b".into(), "2".into()), ("a".into(), "1".into())].into(),
        ..Default::default()
    };
    let text = serde_json::to_string(&to_value(&pod)).unwrap();
    assert_eq!(
        text,
        "{\"id\":\"abc\",\"metadata\":{\"name\":\"web\",\"uid\":\"\",\"namespace\":\"\",\"attempt\":2},\
         \"state\":\"SANDBOX_NOTREADY\",\"createdAt\":\"1700000000123456789\",\
         \"labels\":{\"a\":\"1\",\"b\":\"2\"},\"annotations\":{},\"runtimeHandler\":\"\"}"
    );
}

#[test]
fn every_kind_of_field_has_its_form() {
    let image = api::Image { size: 5, uid: Some(api::Int64Value { value: -7 }), ..Default::default() };
    let value = to_value(&image);
    assert_eq!(value["size"], "5");
    assert_eq!(value["uid"], json!({"value": "-7"}));
    assert_eq!(value["repoTags"], json!([]));
    assert_eq!(value["pinned"], false);
    assert!(value.get("spec").is_none(), "a message that is not there is left out: {value}");
    let status = api::ContainerStatus { exit_code: -1, state: 99, ..Default::default() };
    let value = to_value(&status);
    assert_eq!((&value["exitCode"], &value["state"]), (&json!(-1), &json!(99)));
}

#[test]
fn every_enumeration_is_written_by_name_and_read_by_name_or_number() {
    assert_eq!(super::enumerations::FIELDS.len(), 19);
    for (message, field) in super::enumerations::FIELDS {
        let kind = super::enumerations::enumeration(message, field).unwrap();
        let name = (kind.name)(1).unwrap();
        assert_eq!((kind.number)(name), Some(1), "{message}.{field}");
    }
    for propagation in [json!("PROPAGATION_BIDIRECTIONAL"), json!(2)] {
        let mount: api::Mount = from_value(&json!({"host_path": "/a", "propagation": propagation})).unwrap();
        assert_eq!(mount.propagation, 2);
    }
}

#[test]
fn what_is_left_out_is_empty_and_names_have_either_spelling() {
    let config: api::PodSandboxConfig = from_value(&json!({
        "metadata": {"name": "web", "namespace": "shop", "uid": "u"},
        "logDirectory": "/var/log/x",
        "port_mappings": [{"container_port": 80, "HOST_PORT": "8080"}],
        "linux": {"security_context": {"namespace_options": {"network": 2}}},
        "nobodyKnows": [1],
        "labels": {"Some_Key": "v"},
    }))
    .unwrap();
    assert_eq!(config.metadata.as_ref().unwrap().attempt, 0);
    assert_eq!(config.log_directory, "/var/log/x");
    assert_eq!((config.port_mappings[0].container_port, config.port_mappings[0].host_port), (80, 8080));
    assert_eq!(config.labels["Some_Key"], "v");
    assert!(config.dns_config.is_none());
    let network = config.linux.unwrap().security_context.unwrap().namespace_options.unwrap().network;
    assert_eq!(network, 2);
}

#[test]
fn what_cannot_be_read_is_named() {
    for (value, why) in [
        (json!({"metadata": {"attempt": -1}}), "PodSandboxMetadata.attempt: -1 is out of range"),
        (json!({"metadata": "x"}), "PodSandboxConfig.metadata: an object is wanted, not a text"),
        (json!({"port_mappings": [{"protocol": "SCTP2"}]}), "PortMapping.protocol: there is no \"SCTP2\""),
    ] {
        let error = from_value::<api::PodSandboxConfig>(&value).unwrap_err();
        assert_eq!(error.to_string(), why);
    }
}

#[test]
fn what_is_written_can_be_read() {
    let config: api::ContainerConfig =
        from_value(&json!({"metadata": {"name": "app"}, "envs": [{"key": "A", "value": "b"}], "tty": true}))
            .unwrap();
    let again: api::ContainerConfig = from_value(&to_value(&config)).unwrap();
    assert_eq!(again, config);
}

#[test]
fn a_schema_names_every_message_once() {
    let schema: Value = schema::<api::ContainerConfig>();
    assert_eq!(schema["$ref"], "#/$defs/ContainerConfig");
    let config = &schema["$defs"]["ContainerConfig"]["properties"];
    assert_eq!(config["metadata"], json!({"$ref": "#/$defs/ContainerMetadata"}));
    assert_eq!(config["command"], json!({"items": {"type": "string"}, "type": "array"}));
    assert_eq!(config["labels"], json!({"additionalProperties": {"type": "string"}, "type": "object"}));
    assert_eq!(config["stdin_once"], json!({"type": "boolean"}));
    assert_eq!(
        schema["$defs"]["LinuxContainerResources"]["properties"]["cpu_period"],
        json!({"type": "integer"})
    );
}
