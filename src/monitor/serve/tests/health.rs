//! Checks are scheduled, and a check that hangs hangs alone.

use super::*;
use crate::monitor::HEALTH_ARGUMENT;
use crate::oci::request::HealthCheck;

/// Not a test but what the monitor runs for each check: it leaves its process id, and stays if told so.
#[test]
fn __healthcheck() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, kind, duty] = &arguments[..]
        && kind == HEALTH_ARGUMENT
    {
        let directory = Path::new(duty).parent().unwrap();
        let mut told = File::options().append(true).create(true).open(directory.join("checked")).unwrap();
        told.write_all(format!("{}\n", std::process::id()).as_bytes()).unwrap();
        if directory.join("hang").exists() {
            std::fs::write(directory.join("hangs"), "").unwrap();
            std::thread::sleep(Duration::from_secs(60));
        }
    }
}

fn kind() -> Kind {
    let check = HealthCheck {
        test: vec!["CMD".into(), "true".into()],
        interval: 10_000_000,
        ..HealthCheck::default()
    };
    Kind { health: Some(check), ..Kind::default() }
}

fn checked(directory: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(directory.join("checked")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn one_after_the_other_until_the_end() {
    let mut container = Container::start(&kind());
    let directory = container.temp.path().to_path_buf();
    assert!(wait_for(Duration::from_secs(20), || checked(&directory).len() >= 3));
    container.print("still here\n");
    container.end();
    assert_eq!(container.left(), "still here\n");
    // One may have begun at the end; none comes after it.
    let last = checked(&directory).last().cloned().unwrap();
    assert!(wait_for(Duration::from_secs(5), || !Path::new("/proc").join(&last).join("exe").exists()));
    let after = checked(&directory).len();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(checked(&directory).len(), after);
}

#[test]
fn one_that_hangs_delays_nobody_and_ends_with_the_container() {
    let kind = kind();
    let mut container = Container::start(&kind);
    let directory = container.temp.path().to_path_buf();
    std::fs::write(directory.join("hang"), "").unwrap();
    assert!(wait_for(Duration::from_secs(20), || directory.join("hangs").exists()));
    let mut client = Attached::new(&container.run_directory(), OUTPUT);
    container.print("heard\n");
    assert_eq!(client.next().unwrap(), Some(Event::Stdout(b"heard\n".to_vec())));
    container.end();
    assert_eq!(container.left(), "heard\n");
    let hung = checked(&directory).last().cloned().unwrap();
    // A zombie has no program any more; who would reap it is the test program, which has other work.
    assert!(wait_for(Duration::from_secs(5), || !Path::new("/proc").join(&hung).join("exe").exists()));
}
