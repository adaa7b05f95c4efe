//! docker's contexts. The goldens are what docker 28.2 prints, but for the default endpoint, which is containerd's.

use super::{Node, engine, nothing_forwarded};
use crate::engine::TestEngine;

const DEFAULT: &str = "unix:///run/containerd/containerd.sock";

#[test]
fn the_verbs_are_dockers() {
    let engine = TestEngine::without_containerd("");
    let context = |arguments: &[&str]| engine.wharfie([&["context"], arguments].concat());
    let both = |arguments: &[&str]| {
        let told = context(arguments);
        (told.ok().to_owned(), told.stderr.clone())
    };
    let says = |out: &str, err: &str| (out.to_owned(), format!("{err}\n"));
    assert_eq!(
        both(&["create", "n1", "--docker", "host=ssh://root@n1", "--description", "first node"]),
        says("n1", "Successfully created context \"n1\"")
    );
    assert_eq!(both(&["create", "n2"]), says("n2", "Successfully created context \"n2\""));
    assert_eq!(
        both(&["create", "n6", "--from", "n1", "--description", "z"]),
        says("n6", "Successfully created context \"n6\"")
    );
    for (line, why) in [
        (["create", "n1"].as_slice(), "context \"n1\" already exists"),
        (&["create", "default"], "\"default\" is a reserved context name"),
        (
            &["create", "b ad"],
            "context name \"b ad\" is invalid, names are validated against regexp \"^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$\"",
        ),
        (
            &["create", "n4", "--docker", "foo=bar"],
            "unable to create docker endpoint config: unrecognized config key: foo",
        ),
        (&["create", "n4", "--docker", "host=tcp://1.2.3.4:2376"], "tcp://1.2.3.4:2376"),
        (&["create", "n4", "--docker", "host=ssh://n4,ca=/x"], "ca is not supported"),
        (&["use", "nope"], "context \"nope\": context not found: open "),
        (&["rm", "nope"], "context \"nope\" does not exist"),
        (&["rm", "default"], "context \"default\" cannot be removed"),
        (&["update", "nope", "--description", "x"], "context \"nope\": context not found: open "),
        (&["update", "default", "--description", "x"], "\"default\" is a reserved context name"),
        (&["frobnicate"], "unknown command: wharfie context frobnicate"),
    ] {
        let told = context(line);
        assert!(told.fails(1).contains(why), "{told:?}");
    }
    assert_eq!(
        context(&["ls"]).ok(),
        format!(
            "NAME        DESCRIPTION                               DOCKER ENDPOINT                          ERROR\n\
             default *   Current DOCKER_HOST based configuration   {DEFAULT}   \n\
             n1          first node                                ssh://root@n1                            \n\
             n2          Current DOCKER_HOST based configuration   {DEFAULT}   \n\
             n6          z                                         ssh://root@n1                            "
        )
    );
    assert_eq!(both(&["use", "n1"]), says("n1", "Current context is now \"n1\""));
    assert_eq!(context(&["show"]).ok(), "n1");
    assert_eq!(
        engine.sh("cat ~/.docker/config.json; stat -c ' %a' ~/.docker/config.json ~/.docker/contexts/meta/*/meta.json"),
        "{\n\t\"currentContext\": \"n1\"\n} 600\n 600\n 600\n 600"
    );
    assert_eq!(
        context(&["ls", "--format", "{{.Name}}: {{.Current}}"]).ok(),
        "default: false\nn1: true\nn2: false\nn6: false"
    );
    assert_eq!(context(&["ls", "-q"]).ok(), "default\nn1\nn2\nn6");
    assert_eq!(
        context(&["ls", "--format", "json"]).ok().lines().nth(1).unwrap(),
        r#"{"Current":true,"Description":"first node","DockerEndpoint":"ssh://root@n1","Error":"","Name":"n1"}"#
    );
    let inspected = context(&["inspect", "n1", "nope", "default"]);
    assert!(inspected.fails(1).contains("context \"nope\": context not found"), "{inspected:?}");
    let home = engine.sh("printf %s ~");
    let id = "676b8bb84ce7267dd520deca4811c8f10a53e636352f06987f42fe425acedd80";
    let shown = r#"[
    {
        "Name": "n1",
        "Metadata": {
            "Description": "first node"
        },
        "Endpoints": {
            "docker": {
                "Host": "ssh://root@n1",
                "SkipTLSVerify": false
            }
        },
        "TLSMaterial": {},
        "Storage": {
            "MetadataPath": "HOME/.docker/contexts/meta/ID",
            "TLSPath": "HOME/.docker/contexts/tls/ID"
        }
    },
    {
        "Name": "default",
        "Metadata": {},
        "Endpoints": {
            "docker": {
                "Host": "unix:///run/containerd/containerd.sock",
                "SkipTLSVerify": false
            }
        },
        "TLSMaterial": {},
        "Storage": {
            "MetadataPath": "<IN MEMORY>",
            "TLSPath": "<IN MEMORY>"
        }
    }
]
"#;
    assert_eq!(inspected.stdout, shown.replace("HOME", &home).replace("/ID\"", &format!("/{id}\"")));
    assert_eq!(context(&["inspect", "-f", "{{.Name}} {{.Endpoints.docker.Host}}"]).ok(), "n1 ssh://root@n1");
    assert_eq!(
        both(&["update", "n1", "--docker", "host=unix:///run/k3s/containerd/containerd.sock"]),
        says("n1", "Successfully updated context \"n1\"")
    );
    assert_eq!(
        context(&["inspect", "-f", "{{.Endpoints.docker.Host}}"]).ok(),
        "unix:///run/k3s/containerd/containerd.sock"
    );
    assert_eq!(both(&["export", "n1"]), says("", "Written file \"n1.dockercontext\""));
    assert_eq!(context(&["export", "n1"]).fails(1), "open n1.dockercontext: file exists");
    assert_eq!(
        both(&["import", "n8", "n1.dockercontext"]),
        says("n8", "Successfully imported context \"n8\"")
    );
    assert!(
        context(&["import", "n8", "n1.dockercontext"]).fails(1).contains("context \"n8\" already exists")
    );
    assert!(context(&["import", "n9", "gone"]).fails(1).contains("open gone: no such file or directory"));
    engine.sh("wharfie context export n1 - | wharfie context import n9 -");
    assert_eq!(context(&["inspect", "-f", "{{.Metadata}}", "n9"]).ok(), "map[Description:first node]");
    assert_eq!(context(&["rm", "n1"]).fails(1), "context \"n1\" is in use, set -f flag to force remove");
    let removed = context(&["rm", "n6", "nope"]);
    assert_eq!((removed.fails(1), removed.stdout.as_str()), ("context \"nope\" does not exist", "n6\n"));
    assert_eq!(both(&["rm", "-f", "n1"]), ("n1".into(), String::new()));
    assert_eq!(context(&["show"]).ok(), "default");
    let over = engine.call(["context", "use", "n2"]).env("DOCKER_HOST", "ssh://x").run();
    assert!(
        over.ok() == "n2" && over.stderr.starts_with("Warning: DOCKER_HOST environment variable overrides")
    );
    let gone = engine.call(["context", "ls"]).env("DOCKER_CONTEXT", "gone").run();
    assert!(
        gone.ok().contains("gone *") && gone.ok().contains("context \"gone\": context not found: open "),
        "{gone:?}"
    );
    let gone = engine.call(["ps"]).env("DOCKER_CONTEXT", "gone").run();
    assert!(gone.fails(1).contains("unable to resolve docker endpoint: context \"gone\": context not found"));
    assert_eq!(context(&["use", "default"]).ok(), "default");
    assert_eq!(engine.sh("cat ~/.docker/config.json"), "{}");
}

#[test]
fn a_context_is_a_machine() {
    let engine = engine();
    let node = Node::start(&engine, "n1");
    node.load(&engine);
    engine.wharfie(["context", "create", "edge", "--docker", "host=ssh://n1"]).ok();
    let names = ["images", "--format", "{{.Repository}}"];
    assert_eq!(engine.wharfie(names).ok(), "");
    assert_eq!(engine.wharfie([&["-c", "edge"], names.as_slice()].concat()).ok(), "busybox");
    assert_eq!(engine.call(names).env("DOCKER_CONTEXT", "edge").run().ok(), "busybox");
    engine.wharfie(["context", "use", "edge"]).ok();
    assert_eq!(engine.wharfie(names).ok(), "busybox");
    assert_eq!(engine.wharfie(["ps", "-aq"]).ok(), "");
    assert_eq!(engine.wharfie([&["-c", "default"], names.as_slice()].concat()).ok(), "");
    assert_eq!(engine.wharfie([&["--nodes", "local,edge"], names.as_slice()].concat()).ok(), "edge: busybox");
    let both = engine.wharfie(["-H", "ssh://n1", "-c", "edge", "ps"]);
    assert_eq!(both.fails(1), "conflicting options: cannot specify both --host and --context");
    nothing_forwarded(&engine);
}
