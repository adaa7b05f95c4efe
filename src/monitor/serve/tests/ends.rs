//! How the container's end is noticed, and who cleans up.

use super::*;

#[test]
fn closing_both_outputs_does_not_end_a_container() {
    for way in [Way::Pipes, Way::Fifos] {
        let mut container = Container::start(&Kind { way: Some(way), ..Kind::default() });
        let mut client = Attached::new(&container.run_directory(), OUTPUT);
        client.tell(Type::Pid, &container.init.id().to_be_bytes());
        container.print("bye\n");
        container.stdout = None;
        container.stderr = None;
        std::thread::sleep(Duration::from_millis(300));
        assert!(!container.monitor.as_ref().unwrap().is_finished(), "{way:?}");
        container.end();
        assert_eq!(client.rest().unwrap(), "bye\n");
        assert_eq!(container.left(), "bye\n");
    }
}

#[test]
fn what_outlives_the_init_process_is_not_waited_for_long() {
    let mut container = Container::start(&Kind::default());
    let mut left_over = container.stdout.take().unwrap();
    container.end();
    let started = Instant::now();
    let chatter = std::thread::spawn(move || {
        while left_over.write_all(b"still here\n").is_ok() {
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    let text = container.left();
    let took = started.elapsed();
    assert!(took >= LEFT_OVER / 2 && took < LEFT_OVER * 3, "{took:?}");
    assert!(text.contains("still here"));
    chatter.join().unwrap();
}

#[test]
fn fifos_are_read_until_the_shim_closes_them_however_late() {
    let kind = Kind { way: Some(Way::Fifos), ..Kind::default() };
    // Number 1 of a pid namespace: nobody can write after it, but the shim may still copy.
    let init = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "sh", "-c", "echo; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut container = Container::start_with(&kind, init);
    container.init.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let children = format!("/proc/{0}/task/{0}/children", container.init.id());
    let child: u32 = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
    let mut client = Attached::new(&container.run_directory(), OUTPUT);
    client.tell(Type::Pid, &child.to_be_bytes());
    drop(client);
    // A round trip, so that the pid is known.
    drop(Attached::new(&container.run_directory(), OUTPUT));
    container.end();
    std::thread::sleep(LEFT_OVER + LEFT_OVER / 2);
    assert!(!container.monitor.as_ref().unwrap().is_finished());
    container.print("copied late\n");
    container.stdout = None;
    container.stderr = None;
    assert_eq!(container.left(), "copied late\n");
}

#[test]
fn a_terminal_is_read_until_the_shim_closes_its_one_pipe() {
    let mut container = Container::start(&Kind { way: Some(Way::Console), ..Kind::default() });
    drop(Attached::new(&container.run_directory(), OUTPUT));
    container.end();
    std::thread::sleep(QUIET * 3);
    assert!(!container.monitor.as_ref().unwrap().is_finished(), "the shim may still copy");
    container.print("prompt\r\n");
    container.stdout = None;
    let started = Instant::now();
    assert_eq!(container.left(), "prompt\r\n");
    assert!(started.elapsed() < LEFT_OVER / 2, "the pipe for standard error is never closed");
}

#[test]
fn the_end_of_a_pid_namespace_is_seen_at_once() {
    let init = Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", "sh", "-c", "echo; exec cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut container = Container::start_with(&Kind { hide_init: true, ..Kind::default() }, init);
    container.init.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let children = format!("/proc/{0}/task/{0}/children", container.init.id());
    let child = std::fs::read_to_string(children).unwrap();
    std::fs::write(container.temp.path().join("bundle/init.pid"), child).unwrap();
    let mut client = Attached::new(&container.run_directory(), OUTPUT);
    container.print("last words\n");
    let started = Instant::now();
    container.end();
    assert_eq!(client.rest().unwrap(), "last words\n");
    assert_eq!(container.left(), "last words\n");
    assert!(started.elapsed() < QUIET, "{:?}", started.elapsed());
}

#[test]
fn a_container_that_never_was_is_over_when_the_shim_closes_its_pipes() {
    let kind = Kind { hide_init: true, restart: RestartPolicy::Always, ..Kind::default() };
    let mut container = Container::start(&kind);
    container.stdout = None;
    container.stderr = None;
    container.left();
    assert_eq!(container.torn_down(), 1);
    assert!(!container.temp.path().join("aftermath").exists());
}

#[test]
fn fifos_whose_starter_died_are_given_up() {
    let mut container =
        Container::start(&Kind { way: Some(Way::Fifos), auto_remove: true, ..Kind::default() });
    container.stdout = None;
    container.stderr = None;
    container.left();
    assert_eq!(container.torn_down(), 1);
    assert_eq!(container.aftermath(), Some(Ending::default()));
}

#[test]
fn an_owner_that_dies_leaves_the_cleaning_to_the_monitor() {
    for (done, expected) in [(true, 0), (false, 1)] {
        let mut container = Container::start(&Kind { auto_remove: true, ..Kind::default() });
        let mut owner = Attached::new(&container.run_directory(), OUTPUT);
        owner.tell(Type::Own, b"");
        container.print("text\n");
        container.end();
        assert_eq!(owner.rest().unwrap(), "text\n");
        assert_eq!(container.torn_down(), 0, "it is the owner's");
        assert!(!container.monitor.as_ref().unwrap().is_finished());
        if done {
            owner.tell(Type::DisownDone, b"");
        }
        drop(owner);
        container.left();
        assert_eq!(container.torn_down(), expected);
        if done {
            assert!(!container.temp.path().join("aftermath").exists());
        } else {
            assert!(container.aftermath().unwrap().started);
        }
    }
}

#[test]
fn an_owner_that_leaves_before_the_end_is_no_owner() {
    let mut container = Container::start(&Kind::default());
    let mut owner = Attached::new(&container.run_directory(), OUTPUT);
    owner.tell(Type::Own, b"");
    drop(owner);
    container.end();
    container.left();
    assert_eq!(container.torn_down(), 1);
}

#[test]
fn a_session_ends_with_its_owner_and_with_nobody_else() {
    let mut container = Container::start(&Kind { session: true, auto_remove: true, ..Kind::default() });
    let mut owner = Attached::new(&container.run_directory(), OUTPUT);
    owner.tell(Type::Own, b"");
    drop(Attached::new(&container.run_directory(), OUTPUT));
    container.print("text\n");
    assert!(matches!(owner.next().unwrap(), Some(Event::Stdout(text)) if text == b"text\n"));
    assert!(container.init.try_wait().unwrap().is_none(), "it lives as long as its owner");
    drop(owner);
    container.init.wait().unwrap();
    container.left();
    assert_eq!(container.torn_down(), 1);
    assert!(container.aftermath().unwrap().started);
}

#[test]
fn a_stop_by_the_user_is_told_even_if_it_comes_together_with_the_end() {
    for stopped in [true, false] {
        let kind = Kind { restart: RestartPolicy::Always, auto_remove: true, ..Kind::default() };
        let mut container = Container::start(&kind);
        if stopped {
            assert!(stopping(&container.run_directory()).unwrap());
        }
        container.end();
        container.left();
        let ending = container.aftermath().unwrap();
        assert_eq!((ending.stopped, ending.started), (stopped, true));
    }
    // Nothing is to be started or removed: still the end is recorded.
    let mut container = Container::start(&Kind { restart: RestartPolicy::Always, ..Kind::default() });
    stopping(&container.run_directory()).unwrap();
    container.end();
    container.left();
    assert!(container.aftermath().unwrap().stopped);
}

#[test]
fn a_container_whose_starter_died_is_found_by_its_shim() {
    for made in [true, false] {
        let kind = Kind { way: Some(Way::Fifos), hide_init: true, ..Kind::default() };
        let mut container = Container::start(&kind);
        let bundle = container.temp.path().join("bundle");
        let mut shim = Command::new("bash")
            .args([
                "-c",
                "exec -a /bin/containerd-shim-test sh -c cat sh -namespace test -id \"$0\" -address x",
            ])
            .arg(id(container.temp.path()))
            .current_dir(&bundle)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let line = format!("/proc/{}/cmdline", shim.id());
        let named = || std::fs::read(&line).unwrap().starts_with(b"/bin/containerd-shim");
        assert!(wait_for(Duration::from_secs(5), named));
        container.print("text\n");
        container.stdout = None;
        container.stderr = None;
        std::thread::sleep(init::SEARCH_FOR / 2);
        if made {
            // Only now does the shim know it.
            std::fs::write(bundle.join("init.pid"), container.init.id().to_string()).unwrap();
        }
        std::thread::sleep(init::SEARCH_FOR * 2);
        assert!(!container.monitor.as_ref().unwrap().is_finished(), "it lives, or may yet");
        if made {
            container.end();
        } else {
            shim.kill().unwrap();
            shim.wait().unwrap();
        }
        assert_eq!(container.left(), "text\n");
        shim.kill().unwrap();
        shim.wait().unwrap();
    }
}
