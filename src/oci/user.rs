//! Who runs in a container: `user[:group]` looked up in the image's own passwd and group files, which may
//! hold anything.

use std::collections::HashSet;

use oci_spec::runtime::{User, UserBuilder};

use super::built;
use crate::{Error, Result};

/// Longer files are not read (bytes).
pub const MAX_FILE: u64 = 4 * 1024 * 1024;
/// Where users are listed.
pub const PASSWD: &str = "/etc/passwd";
/// Where groups are listed.
pub const GROUP: &str = "/etc/group";

/// The range that docker allows, for 32-bit systems' sake.
const MAX_ID: u32 = i32::MAX as u32;
/// More supplementary groups than the kernel takes are not collected.
const MAX_GROUPS: usize = 65_536;

/// A user as the kernel knows one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ResolvedUser {
    /// The user's number.
    pub uid: u32,
    /// The primary group.
    pub gid: u32,
    /// Every group, the primary one first.
    pub additional_gids: Vec<u32>,
    /// The home directory of the user's line, where there is one.
    pub home: Option<String>,
}

impl ResolvedUser {
    /// The form in a runtime specification.
    pub fn in_spec(&self) -> Result<User> {
        built(
            UserBuilder::default()
                .uid(self.uid)
                .gid(self.gid)
                .additional_gids(self.additional_gids.clone())
                .build(),
        )
    }
}

/// Looks up `wanted` (`user[:group]`, names or numbers; empty is root) and the groups of `--group-add`.
/// `passwd` and `group` are the files' bytes, None where the image has none. A number needs no entry. A user
/// without an explicit group is in every group that lists the name. Errors are docker's.
pub fn resolve(
    wanted: &str,
    group_add: &[String],
    passwd: Option<&[u8]>,
    group: Option<&[u8]>,
) -> Result<ResolvedUser> {
    let (user_part, group_part) = wanted.split_once(':').unwrap_or((wanted, ""));
    let user = Wanted::parse(if user_part.is_empty() { "0" } else { user_part })?;
    let group_wanted = if group_part.is_empty() { None } else { Some(Wanted::parse(group_part)?) };
    let groups = group.unwrap_or_default();

    let mut resolved = ResolvedUser::default();
    let mut name = None;
    match passwd.and_then(|passwd| lines(passwd).find_map(|line| UserLine::of(line, &user))) {
        Some(line) => {
            resolved.uid = in_range(line.uid)?;
            resolved.gid = in_range(line.gid)?;
            resolved.home = line.home.filter(|home| !home.is_empty());
            name = Some(line.name.to_vec());
        }
        None => match user {
            Wanted::Number(uid) => resolved.uid = uid,
            Wanted::Name(user) => {
                return Err(Error::failed(format!(
                    "unable to find user {user}: no matching entries in passwd file"
                ))
                .hint("name a user of the image's /etc/passwd, or a number"));
            }
        },
    }
    let mut supplementary = Vec::new();
    match (&group_wanted, &name) {
        (Some(wanted), _) => resolved.gid = find_group(groups, wanted)?,
        (None, Some(name)) => {
            for line in lines(groups).filter_map(GroupLine::of).take(MAX_GROUPS) {
                if line.members.split(|byte| *byte == b',').any(|member| member == name) {
                    supplementary.push(in_range(line.gid)?);
                }
            }
        }
        (None, None) => {}
    }
    for added in group_add {
        // docker's own spelling of this one.
        let capital = |error: Error| Error {
            message: error.message.replacen("unable to find", "Unable to find", 1),
            ..error
        };
        supplementary.push(find_group(groups, &Wanted::parse(added)?).map_err(capital)?);
    }
    let mut seen = HashSet::new();
    let every = std::iter::once(resolved.gid).chain(supplementary);
    resolved.additional_gids = every.filter(|gid| seen.insert(*gid)).collect();
    Ok(resolved)
}

fn find_group(groups: &[u8], wanted: &Wanted) -> Result<u32> {
    let found = lines(groups).filter_map(GroupLine::of).find(|line| match wanted {
        Wanted::Number(gid) => line.gid == i64::from(*gid),
        Wanted::Name(name) => line.name == name.as_bytes(),
    });
    match (found, wanted) {
        (Some(line), _) => in_range(line.gid),
        (None, Wanted::Number(gid)) => Ok(*gid),
        (None, Wanted::Name(name)) => {
            Err(Error::failed(format!("unable to find group {name}: no matching entries in group file"))
                .hint("name a group of the image's /etc/group, or a number"))
        }
    }
}

/// What the user typed: a number is never a name.
enum Wanted {
    Number(u32),
    Name(String),
}

impl Wanted {
    fn parse(text: &str) -> Result<Self> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Self::Name(text.to_owned()));
        }
        in_range(text.parse().unwrap_or(i64::MAX)).map(Self::Number)
    }
}

fn in_range(id: i64) -> Result<u32> {
    u32::try_from(id)
        .ok()
        .filter(|id| *id <= MAX_ID)
        .ok_or_else(|| Error::failed(format!("uids and gids must be in range 0-{MAX_ID}")))
}

/// `name:password:uid:gid:comment:home:shell`.
struct UserLine<'a> {
    name: &'a [u8],
    uid: i64,
    gid: i64,
    home: Option<String>,
}

impl<'a> UserLine<'a> {
    /// The line when it is the wanted user's. A line without numbers is nobody's: read as zeros, as some
    /// tools do, it would make anybody root.
    fn of(line: &'a [u8], wanted: &Wanted) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next()?;
        let _password = fields.next()?;
        let uid = number(fields.next()?)?;
        let is_wanted = match wanted {
            Wanted::Number(wanted) => uid == i64::from(*wanted),
            Wanted::Name(wanted) => name == wanted.as_bytes(),
        };
        if !is_wanted {
            return None;
        }
        let gid = number(fields.next()?)?;
        let home = fields.nth(1).map(|home| String::from_utf8_lossy(home).into_owned());
        Some(Self { name, uid, gid, home })
    }
}

/// `name:password:gid:member,member`.
struct GroupLine<'a> {
    name: &'a [u8],
    gid: i64,
    members: &'a [u8],
}

impl<'a> GroupLine<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next()?;
        let _password = fields.next()?;
        let gid = number(fields.next()?)?;
        Some(Self { name, gid, members: fields.next().unwrap_or_default() })
    }
}

fn number(field: &[u8]) -> Option<i64> {
    std::str::from_utf8(field).ok()?.trim().parse().ok()
}

fn lines(file: &[u8]) -> impl Iterator<Item = &[u8]> {
    file.split(|byte| *byte == b'\n')
        .map(|line| line.trim_ascii())
        .filter(|line| !line.is_empty() && line[0] != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh
# a comment
daemon:x:1:1::/usr/sbin:
broken
empty::::
words:x:one:two::/:
app:x:1000:1001:App,,,:/home/app:/bin/sh
app:x:7:7::/second:/bin/sh
big:x:4294967296:0::/:
negative:x:-1:0::/:
\xff\xfe:x:9:9::/bytes:
";
    const GROUP: &[u8] = b"root:x:0:root
wheel:x:10:root,app
app:x:1001:
docker:x:999:app,other
bad:x:many:app
huge:x:99999999999:other
";

    fn of(wanted: &str) -> Result<ResolvedUser> {
        resolve(wanted, &[], Some(PASSWD), Some(GROUP))
    }

    #[test]
    fn users_and_groups() {
        for (wanted, uid, gid, groups, home) in [
            ("", 0, 0, &[0, 10][..], Some("/root")),
            ("root", 0, 0, &[0, 10], Some("/root")),
            ("0", 0, 0, &[0, 10], Some("/root")),
            ("app", 1000, 1001, &[1001, 10, 999], Some("/home/app")),
            ("1000", 1000, 1001, &[1001, 10, 999], Some("/home/app")),
            ("app:", 1000, 1001, &[1001, 10, 999], Some("/home/app")),
            ("app:docker", 1000, 999, &[999], Some("/home/app")),
            ("app:5", 1000, 5, &[5], Some("/home/app")),
            (":docker", 0, 999, &[999], Some("/root")),
            ("4711", 4711, 0, &[0], None),
            ("4711:4712", 4711, 4712, &[4712], None),
            ("2147483647", 2_147_483_647, 0, &[0], None),
            ("+5", 5, 0, &[0], None),
        ] {
            let user = of(wanted).unwrap();
            assert_eq!((user.uid, user.gid), (uid, gid), "{wanted}");
            assert_eq!(user.additional_gids, groups, "{wanted}");
            assert_eq!(user.home.as_deref(), home, "{wanted}");
        }
    }

    #[test]
    fn errors_are_dockers() {
        let range = "uids and gids must be in range 0-2147483647";
        for (wanted, message) in [
            ("nobody", "unable to find user nobody: no matching entries in passwd file"),
            ("nobody:docker", "unable to find user nobody: no matching entries in passwd file"),
            ("app:none", "unable to find group none: no matching entries in group file"),
            ("words", "unable to find user words: no matching entries in passwd file"),
            ("broken", "unable to find user broken: no matching entries in passwd file"),
            ("empty", "unable to find user empty: no matching entries in passwd file"),
            ("app:bad", "unable to find group bad: no matching entries in group file"),
            ("2147483648", range),
            ("-1", range),
            ("99999999999999999999999", range),
            ("0:4294967295", range),
            ("big", range),
            ("negative", range),
            ("app:huge", range),
        ] {
            assert_eq!(of(wanted).unwrap_err().message, message, "{wanted}");
        }
    }

    #[test]
    fn added_groups() {
        let add = |groups: &[&str]| {
            let groups: Vec<String> = groups.iter().map(|group| group.to_string()).collect();
            resolve("4711", &groups, Some(PASSWD), Some(GROUP))
        };
        assert_eq!(add(&["docker", "5", "999", "wheel"]).unwrap().additional_gids, [0, 999, 5, 10]);
        assert_eq!(
            add(&["none"]).unwrap_err().message,
            "Unable to find group none: no matching entries in group file"
        );
    }

    #[test]
    fn an_image_without_files() {
        let user = resolve("1000:1000", &["5".into()], None, None).unwrap();
        assert_eq!((user.uid, user.gid, user.additional_gids), (1000, 1000, vec![1000, 5]));
        assert_eq!(resolve("", &[], None, None).unwrap().additional_gids, [0]);
        assert!(resolve("root", &[], None, None).is_err());
        assert!(resolve("0:root", &[], None, None).is_err());
    }

    #[test]
    fn hostile_files() {
        for file in
            [&b"\0\0\0"[..], &[b':'; 100_000], &[b'\n'; 100_000], b"root", b"root:x:0", b"::::::::\n:::"]
        {
            assert!(resolve("root", &[], Some(file), Some(file)).is_err());
            assert!(resolve("0:0", &[], Some(file), Some(file)).is_ok());
        }
        let many: Vec<u8> =
            (0..100_000).flat_map(|gid| format!("g{gid}:x:{gid}:root\n").into_bytes()).collect();
        let start = std::time::Instant::now();
        let user = resolve("", &[], Some(PASSWD), Some(&many)).unwrap();
        assert!(user.additional_gids.len() <= MAX_GROUPS + 1);
        assert!(start.elapsed().as_secs() < 10);
    }
}
