//! search: docker's index, other registries' index, and the list of repositories where there is none.

use super::server;
use crate::engine::TestEngine;
use crate::images::{Image, tar_of};
use crate::registry::Guard;

#[test]
fn docker_hub_is_searched_by_its_index() {
    let engine = TestEngine::new();
    engine.sh(
        r#"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout hub.key -out hub.crt \
            -subj /CN=index.docker.io -addext subjectAltName=DNS:index.docker.io -addext basicConstraints=critical,CA:FALSE 2>/dev/null
        echo '127.0.0.1 index.docker.io' >> /etc/hosts"#,
    );
    let _server = server(&engine, 443, &["hub.crt", "hub.key"]);
    let authority = engine.directory().join("home/hub.crt").display().to_string();
    let search = |arguments: &[&str]| {
        engine.call(["search"].iter().chain(arguments).copied()).env("SSL_CERT_FILE", &authority).run()
    };
    let found = search(&["cache"]);
    assert_eq!(
        found.ok(),
        "NAME        DESCRIPTION                                     STARS     OFFICIAL\n\
         redis       Redis is the world’s fastest data platform f…   13000     [OK]\n\
         who/cache                                                   3         ",
    );
    assert!(
        search(&["--no-trunc", "cache"]).ok().contains("fastest data platform for caching, vector search ")
    );
    assert_eq!(search(&["--format", "{{.Name}} {{.StarCount}}", "-f", "stars=4", "x"]).ok(), "redis 13000");
    assert_eq!(search(&["--format", "{{.Name}}", "-f", "is-official=false", "x"]).ok(), "who/x");
    assert_eq!(search(&["--format", "{{.Name}}", "-f", "is-automated=true", "x"]).ok(), "");
    assert_eq!(search(&["--format", "{{.Name}}", "--limit", "1", "library/x"]).ok(), "redis");
    assert_eq!(
        search(&["--format", "json", "-f", "is-official=true", "--limit", "1", "x"]).ok(),
        "{\"Description\":\"Redis is the world’s fastest data platform f…\",\"IsOfficial\":\"true\",\"Name\":\"redis\",\"StarCount\":\"13000\"}"
    );
    assert!(engine.sh("cat asked").contains("GET /v1/search?q=cache&n=25 none"));
    for (arguments, code, message) in [
        (
            &["--limit", "101", "x"][..],
            1,
            "Error response from daemon: limit 101 is outside the range of [1, 100]",
        ),
        (&["--limit", "-1", "x"], 1, "limit -1 is outside the range of [1, 100]"),
        (&["-f", "size=1", "x"], 1, "Error response from daemon: invalid filter 'size'"),
        (&["-f", "stars=many", "x"], 1, "Error response from daemon: invalid filter 'stars=[many]'"),
        (&["-f", "stars", "x"], 125, "invalid filter 'stars'"),
        (
            &["--format", "{{.IsAutomated}}", "x"],
            1,
            "can't evaluate field IsAutomated in type *search.searchContext",
        ),
    ] {
        let output = search(arguments);
        assert!(output.fails(code).contains(message), "{output:?}");
    }
    engine.assert_clean();
}

#[test]
fn other_registries_have_an_index_or_a_list() {
    let engine = TestEngine::new();
    let _server = server(&engine, 5700, &[]);
    assert_eq!(
        engine.wharfie(["search", "--format", "{{.Name}}", "127.0.0.1:5700/app"]).ok(),
        "redis\nwho/app"
    );
    let registry = engine.registry(Guard::Plain);
    for name in ["team/app", "team/web", "app"] {
        registry.put(name, "1", &Image::new([tar_of([("file", name.as_bytes())])]));
    }
    let host = &registry.host;
    let names = |term: &str| {
        engine.wharfie(["search", "--format", "{{.Name}}", &format!("{host}/{term}")]).ok().to_owned()
    };
    assert_eq!(names("app"), format!("{host}/app\n{host}/team/app"));
    assert_eq!(names(""), format!("{host}/app\n{host}/team/app\n{host}/team/web"));
    assert_eq!(names("none"), "");
    let guarded = engine.registry(Guard::Password);
    let output = engine.wharfie(["search", &format!("{}/x", guarded.host)]);
    assert!(output.fails(1).contains(&format!("log in with `wharfie login {}`", guarded.host)), "{output:?}");
    engine.assert_clean();
}
