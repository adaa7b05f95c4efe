//! The monitor as a process of its own: readiness, SIGTERM, failure.

use super::*;

/// A monitor in a process of its own, started as the shim does: pipes as 3 and 4, readiness on 5, the bundle as
/// working directory. SIGTERM is blocked from the start because the test program has a second thread.
fn start_process(directory: &Path, stdout: OwnedFd, stderr: OwnedFd, ready: File) -> Child {
    Command::new("sh")
        .args([
            "-c",
            "exec 3<&0 4<&2 5>&1 0</dev/null 1>/dev/null 2>/dev/null; exec env --block-signal=TERM \"$@\"",
            "sh",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "monitor::serve::tests::process::as_a_process", "--test-threads=1", "--nocapture"])
        .env(DUTY, directory.join("monitor.json"))
        .current_dir(directory.join("bundle"))
        .stdin(stdout)
        .stderr(stderr)
        .stdout(OwnedFd::from(ready))
        .spawn()
        .unwrap()
}

/// Not a test but the program of [`start_process`].
#[test]
fn as_a_process() {
    if let Some(path) = std::env::var_os(DUTY) {
        let path = PathBuf::from(path);
        let code = crate::monitor::run(&path, &|duty| {
            std::fs::write(duty.directory.join("torn-down"), "").unwrap();
        });
        std::fs::write(path.with_file_name("code"), code.to_string()).unwrap();
    }
}

/// Not a test but what [`aftermath::start`] runs: its arguments are filters, of which this name holds one.
#[test]
fn __aftermath() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, kind, duty, ending] = &arguments[..]
        && kind == AFTERMATH_ARGUMENT
    {
        let told = Path::new(duty).with_file_name("aftermath");
        std::fs::write(told.with_extension("new"), ending).unwrap();
        std::fs::rename(told.with_extension("new"), told).unwrap();
    }
    assert_eq!(MONITOR_ARGUMENT, "__monitor");
}

#[test]
fn on_termination_everything_is_drained_and_the_owner_waited_for() {
    for killed in [false, true] {
        let temp = tempfile::tempdir().unwrap();
        let duty = duty(temp.path(), &Kind { auto_remove: true, ..Kind::default() });
        std::fs::create_dir(temp.path().join("bundle")).unwrap();
        std::fs::write(temp.path().join("monitor.json"), serde_json::to_vec(&duty).unwrap()).unwrap();
        let (mut init, (stdout, mut write), (stderr, write_error), (wait, ready)) =
            (sleeper(), pipe(), pipe(), pipe());
        let mut monitor = start_process(temp.path(), stdout, stderr, ready);
        assert_eq!(File::from(wait).read(&mut [0; 8]).unwrap(), 1, "ready, with a byte");
        let mut owner = Attached::new(&duty.run_directory, OUTPUT);
        owner.tell(Type::Own, b"");
        let mut slow = Attached::new(&duty.run_directory, OUTPUT);
        std::fs::write(temp.path().join("bundle/init.pid"), init.id().to_string()).unwrap();
        // What a pipe holds, so that nobody has to read it before the end.
        let text = "0123456789abcde\n".repeat(4000);
        write.write_all(text.as_bytes()).unwrap();
        init.kill().unwrap();
        init.wait().unwrap();
        drop((write, write_error));
        let pid = rustix::process::Pid::from_child(&monitor);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        // (The test program has two threads, so the monitor cannot leave a child behind and go.)
        assert!(owner.rest().unwrap() == text);
        assert!(slow.rest().unwrap() == text);
        assert!(log_of(temp.path()) == text);
        let code = temp.path().join("code");
        let torn_down = temp.path().join("torn-down");
        assert!(!torn_down.exists());
        if !killed {
            owner.tell(Type::DisownDone, b"");
        }
        drop(owner);
        drop(slow);
        if killed {
            assert!(wait_for(Duration::from_secs(5), || torn_down.exists()));
            assert!(wait_for(Duration::from_secs(5), || temp.path().join("aftermath").exists()));
        }
        assert!(wait_for(Duration::from_secs(5), || code.exists()));
        monitor.wait().unwrap();
        assert_eq!(torn_down.exists(), killed);
    }
}

#[test]
fn a_termination_while_the_container_runs_waits_for_its_end() {
    let temp = tempfile::tempdir().unwrap();
    let duty = duty(temp.path(), &Kind::default());
    std::fs::create_dir(temp.path().join("bundle")).unwrap();
    std::fs::write(temp.path().join("monitor.json"), serde_json::to_vec(&duty).unwrap()).unwrap();
    let (mut init, (stdout, mut write), (stderr, write_error), (wait, ready)) =
        (sleeper(), pipe(), pipe(), pipe());
    std::fs::write(temp.path().join("bundle/init.pid"), init.id().to_string()).unwrap();
    let mut monitor = start_process(temp.path(), stdout, stderr, ready);
    File::from(wait).read_exact(&mut [0]).unwrap();
    drop(Attached::new(&duty.run_directory, OUTPUT));
    let pid = rustix::process::Pid::from_child(&monitor);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    std::thread::sleep(Duration::from_millis(300));
    assert!(monitor.try_wait().unwrap().is_none());
    write.write_all(b"after\n").unwrap();
    init.kill().unwrap();
    init.wait().unwrap();
    assert!(monitor.wait().unwrap().success());
    assert_eq!(log_of(temp.path()), "after\n");
    assert!(temp.path().join("torn-down").exists());
    drop((write, write_error));
}

#[test]
fn a_monitor_that_cannot_start_says_why() {
    let temp = tempfile::tempdir().unwrap();
    let mut duty = duty(temp.path(), &Kind::default());
    duty.stdin = Some(temp.path().join("missing"));
    std::fs::create_dir(temp.path().join("bundle")).unwrap();
    std::fs::write(temp.path().join("monitor.json"), serde_json::to_vec(&duty).unwrap()).unwrap();
    let ((stdout, write), (stderr, write_error), (wait, ready)) = (pipe(), pipe(), pipe());
    let mut monitor = start_process(temp.path(), stdout, stderr, ready);
    assert_eq!(File::from(wait).read(&mut [0; 8]).unwrap(), 0, "not ready");
    monitor.wait().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = runtime.block_on(Attachment::connect(&duty.run_directory, OUTPUT)).unwrap_err();
    assert_eq!(error.kind, crate::Kind::Unavailable);
    assert!(error.hints[0].contains("missing: no such file"), "{error:?}");
    drop((write, write_error));
}

#[test]
fn a_stop_that_is_seen_together_with_the_end_counts() {
    use rustix::process::{Pid, Signal, kill_process};
    let temp = tempfile::tempdir().unwrap();
    let kind = Kind { restart: RestartPolicy::Always, auto_remove: true, ..Kind::default() };
    let duty = duty(temp.path(), &kind);
    std::fs::create_dir(temp.path().join("bundle")).unwrap();
    std::fs::write(temp.path().join("monitor.json"), serde_json::to_vec(&duty).unwrap()).unwrap();
    let (mut init, (stdout, write), (stderr, write_error), (wait, ready)) =
        (sleeper(), pipe(), pipe(), pipe());
    std::fs::write(temp.path().join("bundle/init.pid"), init.id().to_string()).unwrap();
    let mut monitor = start_process(temp.path(), stdout, stderr, ready);
    File::from(wait).read_exact(&mut [0]).unwrap();
    drop(Attached::new(&duty.run_directory, OUTPUT));
    // Held still, it finds the end and the wish at once.
    let pid = Pid::from_child(&monitor);
    kill_process(pid, Signal::STOP).unwrap();
    let mut client = crate::monitor::socket::connect(&duty.run_directory).unwrap();
    client.write_all(&frame::frame(Type::Hello, br#"{"version":1}"#)).unwrap();
    client.write_all(&frame::frame(Type::Stopping, b"")).unwrap();
    init.kill().unwrap();
    init.wait().unwrap();
    drop((write, write_error));
    kill_process(pid, Signal::CONT).unwrap();
    drop(client);
    monitor.wait().unwrap();
    let told = temp.path().join("aftermath");
    assert!(wait_for(Duration::from_secs(5), || told.exists()));
    assert!(Ending::from_argument(Some(&std::fs::read_to_string(told).unwrap())).stopped);
}

#[test]
fn a_monitor_of_fifos_notices_that_its_starter_dies() {
    let temp = tempfile::tempdir().unwrap();
    let duty = duty(temp.path(), &Kind { way: Some(Way::Fifos), ..Kind::default() });
    std::fs::write(temp.path().join("monitor.json"), serde_json::to_vec(&duty).unwrap()).unwrap();
    let (wait, ready) = pipe();
    let mut monitor = Command::new("env")
        .arg("--block-signal=TERM")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "monitor::serve::tests::process::as_a_process", "--nocapture"])
        .env(DUTY, temp.path().join("monitor.json"))
        .stdout(OwnedFd::from(ready))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = String::new();
    let mut wait = File::from(wait);
    while !told.ends_with("...1") && !told.ends_with("\n1") {
        // The test program itself says something first.
        let mut byte = [0];
        wait.read_exact(&mut byte).unwrap();
        told.push(char::from(byte[0]));
    }
    drop(Attached::new(&duty.run_directory, OUTPUT));
    std::thread::sleep(Duration::from_millis(200));
    assert!(monitor.try_wait().unwrap().is_none(), "the starter is there");
    drop(wait);
    assert!(wait_for(Duration::from_secs(10), || temp.path().join("torn-down").exists()));
    monitor.wait().unwrap();
}
