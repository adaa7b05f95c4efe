//! What attached clients get, and what they can hold up.

use super::*;

#[test]
fn a_million_lines_reach_a_fast_and_a_slow_client_and_the_log() {
    let mut container = Container::start(&Kind::default());
    let expected: String = (1..=1_000_000).map(|number| format!("{number}\n")).collect();
    let directory = container.run_directory();
    let clients: Vec<_> = [0, 1]
        .map(|slow| {
            let mut client = Attached::new(&directory, OUTPUT);
            std::thread::spawn(move || {
                let mut text = Vec::new();
                while let Some(event) = client.next().unwrap() {
                    if let Event::Stdout(bytes) = event {
                        text.extend(bytes);
                        // Slower than the writer, so that the queue fills and the pipe waits.
                        std::thread::sleep(Duration::from_millis(slow * 3));
                    }
                }
                String::from_utf8(text).unwrap()
            })
        })
        .into();
    container.print(&expected);
    container.end();
    for client in clients {
        assert!(client.join().unwrap() == expected);
    }
    assert!(container.left() == expected);
    assert_eq!(container.torn_down(), 1);
}

#[test]
fn a_late_client_gets_what_comes_then_and_the_log_has_all() {
    let mut container = Container::start(&Kind::default());
    container.print("early\n");
    assert!(wait_for(Duration::from_secs(5), || container.log() == "early\n"), "shown without delay");
    let mut client = Attached::new(&container.run_directory(), OUTPUT);
    assert!(!client.attachment.welcome.stdin);
    container.print("late\n");
    container.stderr.as_mut().unwrap().write_all(b"error\n").unwrap();
    assert!(wait_for(Duration::from_secs(5), || container.log().len() == 17));
    container.print("unfinished");
    container.end();
    let mut text = client.rest().unwrap();
    assert!(text.contains("error\n") && text.len() == 21, "{text}");
    text = text.replace("error\n", "");
    assert_eq!(text, "late\nunfinished");
    assert!(container.left().ends_with("unfinished"));
    assert!(!container.run_directory().join("attach.sock").exists());
    let gone = stopping(&container.run_directory());
    assert!(!gone.unwrap(), "nobody to tell");
}

#[test]
fn only_the_wanted_streams_are_sent() {
    let mut container = Container::start(&Kind::default());
    let wants = Wants { stderr: true, ..Wants::default() };
    let mut client = Attached::new(&container.run_directory(), wants);
    container.print("out\n");
    container.stderr.as_mut().unwrap().write_all(b"err\n").unwrap();
    container.end();
    assert_eq!(client.rest().unwrap(), "err\n");
    container.left();
}

#[test]
fn a_client_that_stalls_holds_the_container_and_is_let_go() {
    let mut container = Container::start(&Kind::default());
    let mut stalled = Attached::new(&container.run_directory(), OUTPUT);
    let started = Instant::now();
    let text = "x".repeat(99) + "\n";
    for _ in 0..50_000 {
        container.print(&text);
    }
    assert!(started.elapsed() >= super::client::PATIENCE, "the container had to wait");
    container.end();
    assert_eq!(container.left().len(), 5_000_000);
    assert!(stalled.rest().is_err(), "told that it missed something");
}

#[test]
fn an_owner_that_stalls_holds_the_container_for_as_long_as_it_likes() {
    let mut container = Container::start(&Kind::default());
    let mut owner = Attached::new(&container.run_directory(), OUTPUT);
    owner.tell(Type::Own, b"");
    let mut stdout = container.stdout.take().unwrap();
    let writer = std::thread::spawn(move || {
        for _ in 0..50_000 {
            stdout.write_all("x".repeat(99).as_bytes()).unwrap();
            stdout.write_all(b"\n").unwrap();
        }
        stdout
    });
    std::thread::sleep(super::client::PATIENCE * 2);
    assert!(!writer.is_finished());
    let reader = std::thread::spawn(move || {
        let text = owner.rest().unwrap();
        owner.tell(Type::DisownDone, b"");
        text.len()
    });
    container.stdout = Some(writer.join().unwrap());
    container.end();
    assert_eq!(reader.join().unwrap(), 5_000_000);
    assert_eq!(container.left().len(), 5_000_000);
    assert_eq!(container.torn_down(), 0, "the owner did it");
}

#[test]
fn hostile_clients_are_let_go_and_unknown_frames_skipped() {
    let mut container = Container::start(&Kind::default());
    let connect = || crate::monitor::socket::connect(&container.temp.path().join("run")).unwrap();
    let mut garbage = connect();
    garbage.write_all(&[4, 0, 0, 0, 1, 0]).unwrap();
    assert_eq!(garbage.read(&mut [0; 8]).unwrap(), 0, "no hello first");
    let mut long = connect();
    long.write_all(&[1, 0xff, 0xff, 0xff, 0xff]).unwrap();
    assert_eq!(long.read(&mut [0; 8]).unwrap(), 0);
    let mut newer = connect();
    newer.write_all(&frame::frame(Type::Hello, br#"{"version":7,"stdout":true}"#)).unwrap();
    newer.write_all(&[99, 0, 0, 0, 2, 1, 2]).unwrap();
    let mut reply = [0; 256];
    let length = newer.read(&mut reply).unwrap();
    let welcome: Welcome = serde_json::from_slice(&reply[frame::HEADER..length]).unwrap();
    assert_eq!(welcome.version, 1, "the lower version counts");
    container.print("x");
    newer.read_exact(&mut reply[..6]).unwrap();
    assert_eq!(reply[..6], [2, 0, 0, 0, 1, b'x']);
    container.end();
    container.left();
}
