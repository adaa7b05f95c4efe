//! What runs on the other machine before our own program does: a few lines for its plain shell, each on one line,
//! so that any login shell passes them on.

/// Arguments: sockets. Says who logs in and which sockets there are, then stays until its input ends.
pub(super) const SOCKETS: &str = "echo uid $(id -u); \
    for s; do if [ -S \"$s\" ]; then if [ -r \"$s\" ] && [ -w \"$s\" ]; then echo \"open $s\"; else echo \"denied $s\"; fi; fi; done; \
    echo end of sockets; exec cat >/dev/null";

/// Exit code of [`RUN`] and [`LOOK`] when the program is not there.
pub(super) const NOT_THERE: i32 = 219;
/// Exit code of [`SEND`] when nothing can be executed where the copy went.
pub(super) const NO_EXEC: i32 = 218;
/// Exit code of [`SEND`] when the machine is of another kind; it says which.
pub(super) const OTHER_MACHINE: i32 = 217;

/// Finds the program: the copy `$1`, or the one in PATH that says `$2` of its version. Sets `p`.
macro_rules! find {
    () => {
        "p=\"${XDG_CACHE_HOME:-$HOME/.cache}/wharfie/$1/wharfie\"; \
         if [ ! -x \"$p\" ]; then p=$(command -v wharfie 2>/dev/null); \
         if [ -z \"$p\" ] || [ \"$(\"$p\" --version 2>/dev/null)\" != \"$2\" ]; then exit 219; fi; fi; "
    };
}

/// Arguments: the copy's key, the version line, sockets in one word, the name it is called by, then the command line.
/// Runs the program, with sudo when the user may not open the socket.
pub(super) const RUN: &str = concat!(
    find!(),
    // What that machine's user has chosen there is not what is meant here.
    "s=$3; n=$4; shift 4; unset DOCKER_HOST DOCKER_CONTEXT; ",
    "if [ \"$(id -u)\" = 0 ]; then exec \"$p\" __node \"$n\" \"$@\"; fi; ",
    "for f in $s; do if [ -w \"$f\" ]; then exec \"$p\" __node \"$n\" \"$@\"; fi; done; ",
    "if sudo -n true 2>/dev/null; then exec sudo -n -- \"$p\" __node \"$n\" \"$@\"; fi; ",
    "echo \"$(id -un)@$(uname -n) may not open the socket of containerd, and sudo wants a password\" >&2; ",
    "echo \"  hint: log in as root, or allow this user sudo without a password (NOPASSWD)\" >&2; exit 1"
);

/// Arguments: key and version line. Whether the program is there.
pub(super) const LOOK: &str = concat!(find!(), "exit 0");

/// Arguments: key, bytes, SHA-256, machine. Before anything is sent it sees whether a file can be executed there. Takes the program from its input and puts it in place whole; copies that
/// nobody has asked for in a month go.
pub(super) const SEND: &str = "k=$1; m=$(uname -m); if [ \"$m\" != \"$4\" ]; then echo \"$m\"; exit 217; fi; umask 077; \
    d=\"${XDG_CACHE_HOME:-$HOME/.cache}/wharfie\"; mkdir -p \"$d/$k\" || exit 1; t=\"$d/$k/.new.$$\"; \
    trap 'rm -f \"$t\"' EXIT; trap 'exit 1' HUP INT TERM; \
    echo \"#!/bin/sh\" > \"$t\" || exit 1; chmod 700 \"$t\"; if ! \"$t\"; then rm -rf \"${d:?}/$k\"; exit 218; fi; \
    cat > \"$t\" && [ \"$(wc -c < \"$t\")\" -eq \"$2\" ] || exit 1; \
    if command -v sha256sum >/dev/null 2>&1; then case $(sha256sum < \"$t\") in \"$3\"*) ;; *) exit 1;; esac; fi; \
    chmod 700 \"$t\" && mv -f \"$t\" \"$d/$k/wharfie\" || exit 1; \
    find \"$d\" -mindepth 1 -maxdepth 1 -type d -mtime +30 -exec rm -rf {} + 2>/dev/null; \
    if [ -x \"$d/$k/wharfie\" ] && \"$d/$k/wharfie\" --version >/dev/null; then exit 0; fi; rm -rf \"${d:?}/$k\"; exit 218";

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;

    fn sh(home: &Path, script: &str, arguments: &[&str], input: &[u8]) -> (i32, String) {
        let mut child = Command::new("sh")
            .args(["-c", script, "wharfie"])
            .args(arguments)
            .env("HOME", home)
            .env_remove("XDG_CACHE_HOME")
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        // It may end before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(input);
        let told = child.wait_with_output().unwrap();
        (told.status.code().unwrap(), String::from_utf8_lossy(&told.stdout).into_owned())
    }

    #[test]
    fn a_copy_is_there_whole_or_not_at_all() {
        let home = tempfile::tempdir().unwrap();
        let program = b"#!/bin/sh\necho \"$@\"\n";
        let machine = std::env::consts::ARCH;
        let size = program.len().to_string();
        let digest = crate::image::digest::sha256(program).digest().to_owned();
        let look = |key: &str| sh(home.path(), LOOK, &[key, "v"], b"").0;
        assert_eq!(look("k"), NOT_THERE);
        // Cut short, damaged, of another machine.
        assert_eq!(sh(home.path(), SEND, &["k", &size, &digest, machine], &program[..9]).0, 1);
        assert_eq!(sh(home.path(), SEND, &["k", &size, &digest, machine], b"#!/bin/sh\necho \"$@\"x").0, 1);
        let (code, told) = sh(home.path(), SEND, &["k", &size, &digest, "vax"], program);
        assert_eq!((code, told.trim()), (OTHER_MACHINE, machine));
        let left = || std::fs::read_dir(home.path().join(".cache/wharfie/k")).unwrap().count();
        assert_eq!((look("k"), left()), (NOT_THERE, 0));
        assert_eq!(sh(home.path(), SEND, &["k", &size, &digest, machine], program).0, 0);
        assert_eq!((look("k"), left()), (0, 1));
        let (code, told) = sh(home.path(), RUN, &["k", "v", "/x /y", "docker", "ps", "-f", "a b"], b"");
        if rustix::process::geteuid().is_root() {
            assert_eq!((code, told.as_str()), (0, "__node docker ps -f a b\n"));
        }
        // A file that cannot be executed is not kept.
        let nothing = crate::image::digest::sha256(b"x").digest().to_owned();
        assert_eq!(sh(home.path(), SEND, &["z", "1", &nothing, machine], b"x").0, NO_EXEC);
        assert!(!home.path().join(".cache/wharfie/z").exists());
    }

    #[test]
    fn the_shell_of_any_user_passes_them_on() {
        for script in [SOCKETS, RUN, LOOK, SEND] {
            assert!(!script.contains('\n'), "{script}");
        }
    }
}
