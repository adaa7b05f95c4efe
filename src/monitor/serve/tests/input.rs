//! The container's standard input.

use super::*;

const ALONE: &str = "WHARFIE_TEST_ALONE";

/// Whether no other test runs in this process; where others do, the test is run in one of its own. What another
/// thread forks has this one's descriptors until it executes something, and is taken for the shim meanwhile.
fn alone(test: &str) -> bool {
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut again = Command::new(std::env::current_exe().unwrap());
    let output = again.args(["--exact", test]).env(ALONE, "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "no test is called {test}");
    false
}

#[test]
fn input_arrives_in_order_before_its_end_even_if_the_shim_comes_late() {
    let test = "input_arrives_in_order_before_its_end_even_if_the_shim_comes_late";
    if !alone(&format!("monitor::serve::tests::input::{test}")) {
        return;
    }
    let kind = Kind { stdin: true, stdin_once: true, ..Kind::default() };
    let mut container = Container::start(&kind);
    let mut client = Attached::new(&container.run_directory(), ALL);
    assert!(client.attachment.welcome.stdin_once);
    client.tell(Type::Stdin, b"one ");
    client.tell(Type::Stdin, b"two");
    client.tell(Type::StdinClose, b"");
    // All that was sent is in the FIFO, nobody has opened it, and the monitor may not let go of it.
    std::thread::sleep(Duration::from_millis(100));
    let stdin = container.run_directory().join("stdin");
    let mut reader = File::options().read(true).custom_flags(0o4000).open(stdin).unwrap();
    assert_eq!(client.next().unwrap(), Some(Event::StdinClosed));
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "one two");
    container.end();
    container.left();
}

#[test]
fn much_input_waits_for_the_container() {
    let kind = Kind { stdin: true, stdin_once: true, ..Kind::default() };
    let mut container = Container::start(&kind);
    let stdin = container.run_directory().join("stdin");
    let mut reader = File::options().read(true).open(stdin).unwrap();
    let mut client = Attached::new(&container.run_directory(), ALL);
    let sent: Vec<u8> = (0..3_000_000u32).map(|number| (number % 251) as u8).collect();
    let expected = sent.clone();
    let sender = std::thread::spawn(move || {
        client.tell(Type::Stdin, &sent);
        client.tell(Type::StdinClose, b"");
        client
    });
    std::thread::sleep(Duration::from_millis(50));
    assert!(!sender.is_finished(), "the monitor does not gather it");
    let mut got = Vec::new();
    reader.read_to_end(&mut got).unwrap();
    assert!(got == expected);
    drop(sender.join().unwrap());
    container.end();
    container.left();
}

#[test]
fn input_ends_with_the_first_client_only_if_asked_for() {
    for once in [true, false] {
        let kind = Kind { stdin: true, stdin_once: once, ..Kind::default() };
        let mut container = Container::start(&kind);
        drop(Attached::new(&container.run_directory(), OUTPUT));
        let stdin = container.run_directory().join("stdin");
        let mut reader = File::options().read(true).custom_flags(0o4000).open(stdin).unwrap();
        let mut byte = [0; 8];
        let none = reader.read(&mut byte).unwrap_err();
        assert_eq!(none.kind(), std::io::ErrorKind::WouldBlock, "no end before the first client");
        let mut client = Attached::new(&container.run_directory(), ALL);
        client.tell(Type::Stdin, b"last");
        client.tell(Type::StdinClose, b"");
        drop(client);
        let mut got = Vec::new();
        let closed =
            wait_for(Duration::from_millis(if once { 5000 } else { 300 }), || match reader.read(&mut byte) {
                Ok(0) => true,
                Ok(length) => {
                    got.extend_from_slice(&byte[..length]);
                    false
                }
                Err(_) => false,
            });
        assert_eq!((closed, got.as_slice()), (once, &b"last"[..]));
        container.end();
        container.left();
    }
}
