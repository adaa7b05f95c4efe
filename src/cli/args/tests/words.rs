//! What a user reads when the command line is wrong.

use clap::{Args, FromArgMatches};

use super::{exec, in_world, parse, run, run_line};
use crate::Error;
use crate::cli::args::{RunArgs, pflag};

fn said(error: &Error) -> (&str, u8, Vec<&str>) {
    // What the daemon would refuse is led by its words.
    let message = error.message.strip_prefix("Error response from daemon: ").unwrap_or(&error.message);
    (message, error.exit_code(), error.hints.iter().map(String::as_str).collect())
}

#[test]
fn flags_that_do_not_parse() {
    for (line, message) in [
        (&["run", "--foo", "busybox"][..], "unknown flag: --foo"),
        (&["run", "--foo=bar", "busybox"], "unknown flag: --foo"),
        (&["run", "-x", "busybox"], "unknown shorthand flag: 'x' in -x"),
        (&["run", "-itxz", "busybox"], "unknown shorthand flag: 'x' in -xz"),
        (&["run", "--name"], "flag needs an argument: --name"),
        (&["run", "-h"], "flag needs an argument: 'h' in -h"),
        (&["run", "-p"], "flag needs an argument: 'p' in -p"),
        (&["run", "-itp"], "flag needs an argument: 'p' in -p"),
        (
            &["run", "--rm=maybe", "busybox"],
            "invalid argument \"maybe\" for \"--rm\" flag: strconv.ParseBool: parsing \"maybe\": invalid syntax",
        ),
        (&["run", "--help=x", "busybox"], "invalid argument \"x\" for \"--help\" flag: it takes no value"),
        (
            &["run", "--rm=", "busybox"],
            "invalid argument \"\" for \"--rm\" flag: strconv.ParseBool: parsing \"\": invalid syntax",
        ),
        (
            &["run", "-d=x", "busybox"],
            "invalid argument \"x\" for \"-d, --detach\" flag: strconv.ParseBool: parsing \"x\": invalid syntax",
        ),
    ] {
        let error = run_line(line).unwrap_err();
        assert_eq!(said(&error), (message, 125, vec!["See 'docker run --help'."]), "{line:?}");
    }
}

#[test]
fn a_likely_typo_is_named() {
    let error = run_line(&["run", "--nmae", "x", "busybox"]).unwrap_err();
    assert_eq!(error.message, "unknown flag: --nmae");
    assert_eq!(error.hints, ["Did you mean '--name'?", "See 'docker run --help'."]);
}

#[test]
fn arguments_are_counted() {
    let error = run_line(&["run"]).unwrap_err();
    assert_eq!(
        said(&error),
        ("docker: 'docker run' requires at least 1 argument", 1, vec!["See 'docker run --help'."])
    );
    assert_eq!(
        run_line(&["run", "--rm"]).unwrap_err().message,
        "docker: 'docker run' requires at least 1 argument"
    );
    for line in [&[][..], &["c"], &["-it", "c"]] {
        assert_eq!(
            exec(line).unwrap_err().message,
            "docker: 'docker exec' requires at least 2 arguments",
            "{line:?}"
        );
    }
}

#[test]
fn commands_that_do_not_exist() {
    let error = parse::<RunArgs>(&["rnu"]).unwrap_err();
    assert_eq!((error.message.as_str(), error.exit_code()), ("unknown command: docker rnu", 1));
    assert_eq!(error.hints, ["See 'docker --help'."]);
    let error = parse::<RunArgs>(&["creat", "x"]).unwrap_err();
    assert_eq!(error.hints, ["Did you mean 'create'?", "See 'docker --help'."]);
}

#[test]
fn values_that_do_not_parse() {
    for (flags, message) in [
        (&["--memory", "x"][..], "invalid argument \"x\" for \"-m, --memory\" flag: invalid size: 'x'"),
        (&["-m", "5q"], "invalid argument \"5q\" for \"-m, --memory\" flag: invalid suffix: 'q'"),
        (
            &["--cpus", "x"],
            "invalid argument \"x\" for \"--cpus\" flag: failed to parse x as a rational number",
        ),
        (
            &["--pids-limit", "x"],
            "invalid argument \"x\" for \"--pids-limit\" flag: strconv.ParseInt: parsing \"x\": invalid syntax",
        ),
        (&["-e", "=x"], "invalid argument \"=x\" for \"-e, --env\" flag: invalid environment variable: =x"),
        (&["-l", "=x"], "invalid argument \"=x\" for \"-l, --label\" flag: invalid label '=x': empty name"),
        (&["-p", "x:80"], "invalid hostPort: x"),
        (&["--sysctl", "a=b"], "invalid argument \"a=b\" for \"--sysctl\" flag: sysctl 'a=b' is not allowed"),
        (
            &["--dns", "x"],
            "invalid argument \"x\" for \"--dns\" flag: IP address is not correctly formatted: x",
        ),
        (
            &["--mount", "x"],
            "invalid argument \"x\" for \"--mount\" flag: invalid field 'x' must be a key=value pair",
        ),
        (&["--ulimit", "x"], "invalid argument \"x\" for \"--ulimit\" flag: invalid ulimit argument: x"),
        (
            &["--add-host", "x"],
            "invalid argument \"x\" for \"--add-host\" flag: bad format for add-host: \"x\"",
        ),
        (
            &["-a", "x"],
            "invalid argument \"x\" for \"-a, --attach\" flag: valid streams are STDIN, STDOUT and STDERR",
        ),
        (
            &["--health-interval", "5"],
            "invalid argument \"5\" for \"--health-interval\" flag: time: missing unit in duration \"5\"",
        ),
        (&["-v", "/a:/b:zz"], "invalid mode: zz"),
        (&["-v", "/a:/c", "--tmpfs", "/c"], "Duplicate mount point: /c"),
        (&["--name", "a b"], "Invalid container name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        (&["-w", "x"], "the working directory 'x' is invalid, it needs to be an absolute path"),
        (&["-h", "a b"], "invalid hostname format: a b"),
        (&["--stop-signal", "NOPE"], "invalid signal: NOPE"),
        (&["--env-file", "nope"], "open nope: no such file or directory"),
        (&["--env-file", "bad"], "invalid env file (bad): variable 'a b' contains whitespaces"),
        (&["--label-file", "nope"], "open nope: no such file or directory"),
        (
            &["--security-opt", "seccomp=nope"],
            "opening seccomp profile (nope) failed: open nope: no such file or directory",
        ),
        (&["--security-opt", "x"], "Invalid --security-opt: \"x\""),
        (&["--mac-address", "x"], "x is not a valid mac address"),
        (&["--device", "x"], "x is not an absolute path"),
        (&["--pid", "x"], "--pid: invalid PID mode"),
        (&["--pid", "container:"], "--pid: invalid PID mode"),
        (&["--uts", "x"], "--uts: invalid UTS mode"),
        (&["--cgroupns", "x"], "--cgroupns: invalid CGROUP mode"),
        (&["--ipc", "x"], "invalid IPC mode: x"),
        (&["--pull", "x"], "invalid pull option: 'x': must be one of \"always\", \"missing\" or \"never\""),
        (&["--log-opt", "nope=1"], "unknown log opt 'nope' for json-file log driver"),
        (&["--log-opt", "max-size=x"], "invalid size: 'x'"),
        (&["--detach-keys", "shift-a"], "invalid detach keys (shift-a): Unknown character: 'shift-a'"),
        (&["--annotation", "=x"], "invalid argument \"=x\" for \"--annotation\" flag: the key is empty"),
        (&["--volumes-from", "c:nope"], "invalid mode: nope"),
    ] {
        let error = run(flags).unwrap_err();
        assert_eq!(said(&error), (message, 125, vec!["See 'docker run --help'."]), "{flags:?}");
    }
    assert_eq!(run_line(&["run", "a b"]).unwrap_err().message, "invalid reference format");
    assert_eq!(run_line(&["run", ""]).unwrap_err().message, "invalid reference format");
}

#[test]
fn settings_that_exclude_one_another() {
    for (flags, message) in [
        (&["--rm", "--restart", "always"][..], "conflicting options: cannot specify both --restart and --rm"),
        (&["-d", "-a", "stdout"], "conflicting options: cannot specify both --attach and --detach"),
        (&["-h", "x1", "--network", "container:c"], "conflicting options: hostname and the network mode"),
        (&["-h", "x1", "--uts", "host"], "conflicting options: hostname and the UTS mode"),
        (&["--dns", "1.1.1.1", "--network", "container:c"], "conflicting options: dns and the network mode"),
        (
            &["--add-host", "a:1.1.1.1", "--network", "container:c"],
            "conflicting options: custom host-to-IP mapping and the network mode",
        ),
        (
            &["-p", "80:80", "--network", "container:c"],
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            &["--expose", "80", "--network", "container:c"],
            "conflicting options: port exposing and the container type network mode",
        ),
        (
            &["--mac-address", "02:00:00:00:00:01", "--network", "host"],
            "conflicting options: mac-address and the network mode",
        ),
        (
            &["--ip", "10.0.0.2", "--network", "none"],
            "invalid endpoint settings: user specified IP address is supported on user defined networks only",
        ),
        (
            &["--network", "bridge", "--network", "a"],
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes",
        ),
        (&["--network", "a", "--net", "a"], "network \"a\" is specified multiple times"),
        (
            &["--network", "name=a,ip=10.0.0.2", "--ip", "10.0.0.3"],
            "conflicting options: cannot specify both --ip and per-network IPv4 address",
        ),
        (&["--network-alias", "x"], "network-scoped aliases are only supported for user-defined networks"),
        (&["--no-healthcheck", "--health-cmd", "x"], "--no-healthcheck conflicts with --health-* options"),
        (&["--health-retries", "-1"], "--health-retries cannot be negative"),
        (&["--health-timeout", "1us"], "Timeout in Healthcheck cannot be less than 1ms"),
        (&["--log-driver", "none", "--log-opt", "a=b"], "invalid logging opts for driver none"),
        (&["-m", "1m"], "Minimum memory limit allowed is 6MB"),
        (
            &["-m", "1g", "--memory-swap", "512m"],
            "Minimum memoryswap limit should be larger than memory limit, see usage",
        ),
        (
            &["--memory-swap", "1g"],
            "You should always set the Memory limit when using Memoryswap limit, see usage",
        ),
        (
            &["-m", "10m", "--memory-reservation", "20m"],
            "Minimum memory limit can not be less than memory reservation limit, see usage",
        ),
        (&["--memory-swappiness", "101"], "invalid value: 101. Valid memory swappiness range is 0-100"),
        (
            &["--cpus", "1", "--cpu-quota", "5000"],
            "Conflicting options: Nano CPUs and CPU Quota cannot both be set.",
        ),
        (
            &["--cpu-period", "5"],
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)",
        ),
        (&["--oom-score-adj", "1001"], "Invalid value 1001, range for oom score adj is [-1000, 1000]"),
        (&["--blkio-weight", "5"], "Range of blkio weight is from 10 to 1000"),
        (&["--cpuset-cpus", "a"], "Invalid value a for cpuset cpus"),
    ] {
        let error = run(flags).unwrap_err();
        let code = if flags.contains(&"-d") { 1 } else { 125 };
        assert_eq!(said(&error), (message, code, vec!["See 'docker run --help'."]), "{flags:?}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_by_name() {
    for (flags, start) in [
        (&["--gpus", "some"][..], "invalid argument \"some\" for \"--gpus\" flag: invalid count (some)"),
        (&["--isolation", "hyperv"], "Invalid isolation: \"hyperv\" - linux only supports 'default'"),
        (&["--link", "a:b:c"], "invalid argument \"a:b:c\" for \"--link\" flag: bad format for links"),
        (
            &["--link", "db", "--net", "host"],
            "conflicting options: host type networking can't be used with links",
        ),
        (
            &["--link", "db", "--net", "container:x"],
            "conflicting options: container type network can't be used",
        ),
        (
            &["--link-local-ip", "x"],
            "invalid argument \"x\" for \"--link-local-ip\" flag: failed to parse IP",
        ),
        (&["--verify", "cosign"], "--verify cosign is not supported: "),
        (&["--cosign-key", "k"], "--cosign-key is not supported: "),
        (&["--ipfs-address", "a"], "--ipfs-address is not supported: "),
        (&["--umask", "99"], "invalid argument \"99\" for \"--umask\" flag: "),
        (&["--systemd", "maybe"], "invalid argument \"maybe\" for \"--systemd\" flag: "),
        (&["--cgroup-conf", "x"], "invalid argument \"x\" for \"--cgroup-conf\" flag: "),
        (&["--volume-driver", "nfs"], "--volume-driver nfs is not supported: "),
        (&["--mount", "target=/x,volume-driver=nfs"], "--mount volume-driver=nfs is not supported: "),
        (&["--storage-opt", "size=1g"], "--storage-opt is supported only for overlay over xfs"),
        (&["--userns", "keep-id"], "--userns: invalid USER mode"),
        (&["--use-api-socket"], "--use-api-socket is not supported: "),
        (&["--cpu-count", "2"], "\"--cpu-count\" is only supported on a Docker daemon running on windows"),
        (&["--io-maxiops", "2"], "\"--io-maxiops\" is only supported on"),
        (&["--disable-content-trust=false"], "--disable-content-trust=false is not supported: "),
    ] {
        let error = run(flags).unwrap_err();
        assert!(said(&error).0.starts_with(start), "{flags:?}: {}", error.message);
        assert_eq!(error.exit_code(), 125);
        assert_eq!(error.hints.last().map(String::as_str), Some("See 'docker run --help'."));
    }
    for flags in [
        &["--isolation", "default"][..],
        &["--verify", "none"],
        &["--systemd=false"],
        &["--volume-driver", "local"],
        &["--userns", "host"],
        &["--use-api-socket=false"],
        &["--cpu-count", "0"],
        &["--no-healthcheck"],
        &["--health-retries", "0"],
        &["--disable-content-trust"],
        &["--kernel-memory", "1g"],
    ] {
        assert!(run(flags).is_ok(), "{flags:?}");
    }
}

#[test]
fn hostile_values_are_refused_without_a_panic() {
    let long = "9".repeat(70_000);
    let values = [
        "",
        " ",
        ":",
        "::",
        ":::",
        "=",
        "==",
        ",",
        "\"",
        "\"\"",
        "-",
        "--",
        "/",
        "é",
        "é:é",
        "/é:/é:é",
        "é=é",
        "a=\0",
        "[",
        "]",
        "[]",
        "[::",
        "[é]:1:1",
        "1-",
        "-1",
        "0x",
        "0é",
        "1é",
        "9é9",
        "ctrl-é",
        "ctrl-",
        "\u{feff}",
        "\n",
        "a\nb",
        "%",
        "name=é,ip=é",
        "type=é,dst=é",
        "1-65535",
        "0-65535:0-65535",
        "9223372036854775807",
        "1e999",
        long.as_str(),
    ];
    // One tree for all: a copy for each of thousands of lines would take seconds.
    let mut tree = pflag::like_pflag(RunArgs::augment_args(clap::Command::new("run")));
    let flags: Vec<String> = tree
        .get_opts()
        .filter(|flag| flag.get_action().takes_values() && !flag.is_require_equals_set())
        .filter_map(|flag| flag.get_long().map(str::to_owned))
        .collect();
    for flag in &flags {
        for value in values {
            let line = ["run", &format!("--{flag}={value}"), "busybox"];
            let matches = tree.try_get_matches_from_mut(line).unwrap();
            let args = RunArgs::from_arg_matches(&matches).unwrap();
            if let Err(error) = in_world(|environment| args.clone().into_request(environment)) {
                assert_eq!(error.exit_code(), 125, "{line:?}");
                assert!(!error.message.is_empty(), "{line:?}");
            }
        }
    }
    for value in values {
        let _ = run_line(&["run", value]);
        let _ = exec(&[value, value]);
    }
}
