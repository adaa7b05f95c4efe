//! Names of users and groups of this machine, from its files: a static binary has no name services.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

/// A machine's account files are small; what is beyond this is not read.
const LARGEST: u64 = 4 << 20;

/// Ids to names.
#[derive(Debug, Clone, Default)]
pub struct Accounts(HashMap<u32, String>);

impl Accounts {
    /// The users of /etc/passwd.
    pub fn users() -> Self {
        Self::of(Path::new("/etc/passwd"))
    }

    /// The groups of /etc/group.
    pub fn groups() -> Self {
        Self::of(Path::new("/etc/group"))
    }

    /// The name of `id`; the number itself where there is none.
    pub fn name(&self, id: u32) -> String {
        self.0.get(&id).cloned().unwrap_or_else(|| id.to_string())
    }

    fn of(path: &Path) -> Self {
        let mut bytes = Vec::new();
        let read = std::fs::File::open(path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes));
        if read.is_err() { Self::default() } else { Self::parse(&String::from_utf8_lossy(&bytes)) }
    }

    /// Both files have the name first and the id third; the first line of an id counts.
    fn parse(text: &str) -> Self {
        let mut names = HashMap::new();
        for line in text.lines() {
            let mut fields = line.split(':');
            if let (Some(name), Some(Ok(id))) = (fields.next(), fields.nth(1).map(str::parse)) {
                names.entry(id).or_insert_with(|| name.to_owned());
            }
        }
        Self(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_name_of_an_id_counts() {
        let accounts =
            Accounts::parse("root:x:0:0::/root:/bin/sh\ntoor:x:0:0\nbroken\nweb:x:33\nodd:x:no:1\n");
        for (id, name) in [(0, "root"), (33, "web"), (7, "7")] {
            assert_eq!(accounts.name(id), name);
        }
    }
}
