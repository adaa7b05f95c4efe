//! nf_tables as bytes: tables, chains, sets, rules and elements in one atomic batch, without the nft binary.
//! What the rules mean stands in `firewall`.

use rustix::io::Errno;

use super::netlink::{ACK, CREATE, DUMP, EXCL, Messages, Socket, as_text, attribute, attributes};

const SUBSYSTEM: u16 = 10 << 8;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEWTABLE: u16 = 0;
const DELTABLE: u16 = 2;
const NEWCHAIN: u16 = 3;
const GETCHAIN: u16 = 4;
const NEWRULE: u16 = 6;
const GETRULE: u16 = 7;
const DELRULE: u16 = 8;
const NEWSET: u16 = 9;
const NEWSETELEM: u16 = 12;
const GETSETELEM: u16 = 13;
const DELSETELEM: u16 = 14;

/// `userdata` is a list of (type, length, value); a comment has type 0 everywhere.
const COMMENT: u8 = 0;
const COMMENT_LIMIT: usize = 250;
/// Elements in one message: its list attribute must stay below 64 KiB.
const ELEMENTS_PER_MESSAGE: usize = 100;

/// An address family: AF_INET or AF_INET6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Family {
    V4,
    V6,
}

impl Family {
    pub(crate) const BOTH: [Self; 2] = [Self::V4, Self::V6];

    pub(crate) fn of(address: std::net::IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }
}

/// Where a base chain is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hook {
    /// `nat` or `filter`.
    pub(crate) kind: &'static str,
    pub(crate) number: u32,
    pub(crate) priority: i32,
    /// The policy: drop what no rule accepts.
    pub(crate) drops: bool,
}

/// A set or, with `data`, a map. Types are nft's numbers, six bits each for a concatenation: the kernel keeps
/// them only so that `nft list` can print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Set {
    pub(crate) name: &'static str,
    pub(crate) key: (u32, u32),
    pub(crate) data: Option<(u32, u32)>,
    pub(crate) interval: bool,
    /// The key is in the machine's byte order, as names of interfaces are.
    pub(crate) native: bool,
}

/// One element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Element {
    pub(crate) key: Vec<u8>,
    pub(crate) data: Vec<u8>,
    pub(crate) comment: String,
    /// The end of an interval that began with the element before.
    pub(crate) end: bool,
}

/// What a rule does, step by step. Registers are the kernel's 32-bit ones from 8, or 16-byte ones 1 to 4.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step<'a> {
    Meta {
        key: u32,
        register: u32,
    },
    Conntrack {
        key: u32,
        register: u32,
    },
    /// The kind of the destination address (2 is local).
    DestinationKind {
        register: u32,
    },
    Payload {
        base: u32,
        offset: u32,
        length: u32,
        register: u32,
    },
    Mask {
        register: u32,
        mask: u32,
    },
    Equal {
        register: u32,
        value: &'a [u8],
    },
    Differs {
        register: u32,
        value: &'a [u8],
    },
    In {
        set: &'a str,
        register: u32,
    },
    NotIn {
        set: &'a str,
        register: u32,
    },
    Map {
        map: &'a str,
        register: u32,
        into: u32,
    },
    DestinationNat {
        family: Family,
        address: u32,
        port: u32,
    },
    /// A constant into a register.
    Load {
        register: u32,
        value: &'a [u8],
    },
    Masquerade,
    Counter,
    Accept,
    Drop,
    Jump(&'a str),
}

/// A batch that is done whole or not at all.
pub(crate) struct Batch {
    messages: Messages,
    empty: bool,
}

impl Batch {
    pub(crate) fn new() -> Self {
        let mut messages = Messages::new();
        messages.message(BATCH_BEGIN, 0, &[0, 0, 0, 10]);
        Self { messages, empty: true }
    }

    fn message(&mut self, kind: u16, flags: u16, family: Family) -> &mut Messages {
        self.empty = false;
        self.messages.message(SUBSYSTEM | kind, flags, &[family.number(), 0, 0, 0])
    }

    /// A new table; one of that name that is there fails the batch with EEXIST.
    pub(crate) fn table(&mut self, family: Family, name: &str) {
        self.message(NEWTABLE, CREATE | EXCL, family).text(1, name);
    }

    /// An empty table, in place of one of that name that may be there.
    pub(crate) fn replace_table(&mut self, family: Family, name: &str) {
        self.message(NEWTABLE, CREATE, family).text(1, name);
        self.message(DELTABLE, 0, family).text(1, name);
        self.message(NEWTABLE, CREATE, family).text(1, name);
    }

    /// A chain; without another policy it accepts.
    pub(crate) fn chain(&mut self, family: Family, table: &str, name: &str, hook: Option<Hook>) {
        let message = self.message(NEWCHAIN, CREATE, family);
        message.text(1, table).text(3, name);
        if let Some(hook) = hook {
            message.nest(4, |inside| {
                inside.big(1, hook.number).big(2, hook.priority as u32);
            });
            if hook.drops {
                message.big(5, 0);
            }
            message.text(7, hook.kind);
        }
    }

    /// A set or map; `id` is unique in the batch.
    pub(crate) fn set(&mut self, family: Family, table: &str, set: &Set, id: u32) {
        let flags = if set.interval { 4 } else { 0 } | if set.data.is_some() { 8 } else { 0 };
        let message = self.message(NEWSET, CREATE, family);
        message.text(1, table).text(2, set.name).big(3, flags).big(4, set.key.0).big(5, set.key.1);
        if let Some((kind, length)) = set.data {
            message.big(6, kind).big(7, length);
        }
        message.big(10, id);
        if set.native {
            // What `nft list` needs to print such keys: the key's byte order (0, four bytes) is the host's (1).
            let [a, b, c, d] = 1u32.to_ne_bytes();
            message.put(13, &[0, 4, a, b, c, d]);
        }
    }

    /// A rule at the chain's end, or at its head.
    pub(crate) fn rule(&mut self, family: Family, chain: (&str, &str), steps: &[Step], head: Option<&str>) {
        // Without NLM_F_APPEND a rule goes to the head; `head` carries the comment of such a rule.
        let flags = if head.is_some() { CREATE } else { CREATE | 0x800 };
        let message = self.message(NEWRULE, flags, family);
        message.text(1, chain.0).text(2, chain.1);
        message.nest(4, |list| {
            for step in steps {
                put_step(list, step);
            }
        });
        if let Some(comment) = head {
            message.put(7, &userdata(comment));
        }
    }

    /// Removes the rule with that handle.
    pub(crate) fn delete_rule(&mut self, family: Family, chain: (&str, &str), handle: u64) {
        self.message(DELRULE, 0, family).text(1, chain.0).text(2, chain.1).put(3, &handle.to_be_bytes());
    }

    /// Adds elements; with `exclusive`, one that is there already fails the batch with EEXIST.
    pub(crate) fn add(&mut self, family: Family, set: (&str, &str), elements: &[Element], exclusive: bool) {
        let flags = if exclusive { CREATE | EXCL } else { CREATE };
        for part in elements.chunks(ELEMENTS_PER_MESSAGE) {
            let message = self.message(NEWSETELEM, flags, family);
            put_elements(message, set, part);
        }
    }

    /// Removes elements by key; one that is not there fails the batch with ENOENT.
    pub(crate) fn remove(&mut self, family: Family, set: (&str, &str), elements: &[Element]) {
        for part in elements.chunks(ELEMENTS_PER_MESSAGE) {
            let message = self.message(DELSETELEM, 0, family);
            put_elements(message, set, part);
        }
    }

    /// Does it all.
    ///
    /// # Errors
    /// Why the first refused message was; then nothing was done.
    pub(crate) fn commit(mut self, socket: &Socket) -> Result<(), Errno> {
        if self.empty {
            return Ok(());
        }
        self.messages.acknowledge_last();
        self.messages.message(BATCH_END, 0, &[0, 0, 0, 10]);
        socket.execute(self.messages).map_err(|refused| refused.errno)
    }
}

/// Every element of a set; none when the table or set is not there.
///
/// # Errors
/// The kernel's.
pub(crate) fn elements(socket: &Socket, family: Family, set: (&str, &str)) -> Result<Vec<Element>, Errno> {
    let mut messages = Messages::new();
    messages
        .message(SUBSYSTEM | GETSETELEM, DUMP | ACK, &[family.number(), 0, 0, 0])
        .text(1, set.0)
        .text(2, set.1);
    let mut found = Vec::new();
    let answer = socket.query(messages, |_, payload| {
        let list = attribute(payload.get(4..).unwrap_or_default(), 3).unwrap_or_default();
        found.extend(attributes(list).map(|(_, element)| read_element(element)));
    });
    absent_is_none(answer, found)
}

/// The policy of a base chain: true for accept, false for drop; None when there is no such base chain.
///
/// # Errors
/// The kernel's.
pub(crate) fn accepts(socket: &Socket, family: Family, chain: (&str, &str)) -> Result<Option<bool>, Errno> {
    let mut messages = Messages::new();
    messages
        .message(SUBSYSTEM | GETCHAIN, ACK, &[family.number(), 0, 0, 0])
        .text(1, chain.0)
        .text(3, chain.1);
    let mut policy = None;
    let answer = socket.query(messages, |_, payload| {
        let value = attribute(payload.get(4..).unwrap_or_default(), 5);
        policy =
            value.and_then(|value| value.first_chunk::<4>()).map(|value| u32::from_be_bytes(*value) == 1);
    });
    absent_is_none(answer, policy)
}

/// The handle and comment of every rule with a comment in a chain.
///
/// # Errors
/// The kernel's.
pub(crate) fn commented_rules(
    socket: &Socket,
    family: Family,
    chain: (&str, &str),
) -> Result<Vec<(u64, String)>, Errno> {
    let mut messages = Messages::new();
    messages
        .message(SUBSYSTEM | GETRULE, DUMP | ACK, &[family.number(), 0, 0, 0])
        .text(1, chain.0)
        .text(2, chain.1);
    let mut found = Vec::new();
    let answer = socket.query(messages, |_, payload| {
        let rest = payload.get(4..).unwrap_or_default();
        // Some kernels give the table's other chains too.
        if attribute(rest, 2).map(as_text).as_deref() != Some(chain.1) {
            return;
        }
        let handle = attribute(rest, 3).and_then(|value| value.first_chunk::<8>());
        let comment = attribute(rest, 7).map(comment).unwrap_or_default();
        if let (Some(handle), false) = (handle, comment.is_empty()) {
            found.push((u64::from_be_bytes(*handle), comment));
        }
    });
    absent_is_none(answer, found)
}

fn absent_is_none<T: Default>(answer: Result<(), Errno>, found: T) -> Result<T, Errno> {
    match answer {
        Ok(()) => Ok(found),
        Err(Errno::NOENT) => Ok(T::default()),
        Err(errno) => Err(errno),
    }
}

fn put_elements(message: &mut Messages, set: (&str, &str), elements: &[Element]) {
    message.text(1, set.0).text(2, set.1).nest(3, |list| {
        for element in elements {
            list.nest(1, |inside| {
                if element.end {
                    inside.big(3, 1);
                }
                put_value(inside, 1, &element.key);
                if !element.data.is_empty() {
                    put_value(inside, 2, &element.data);
                }
                if !element.comment.is_empty() {
                    inside.put(6, &userdata(&element.comment));
                }
            });
        }
    });
}

fn read_element(bytes: &[u8]) -> Element {
    let value = |kind| {
        let value = attribute(bytes, kind).and_then(|data| attribute(data, 1)).unwrap_or_default();
        value.to_vec()
    };
    let flags = attribute(bytes, 3).and_then(|flags| flags.last().copied()).unwrap_or_default();
    Element {
        key: value(1),
        data: value(2),
        comment: attribute(bytes, 6).map(comment).unwrap_or_default(),
        end: flags & 1 != 0,
    }
}

fn userdata(comment: &str) -> Vec<u8> {
    let text = comment.as_bytes().get(..comment.len().min(COMMENT_LIMIT)).unwrap_or_default();
    let mut bytes = vec![COMMENT, text.len() as u8 + 1];
    bytes.extend_from_slice(text);
    bytes.push(0);
    bytes
}

fn comment(userdata: &[u8]) -> String {
    let mut rest = userdata;
    while let [kind, length, tail @ ..] = rest {
        let Some(value) = tail.get(..usize::from(*length)) else { break };
        if *kind == COMMENT {
            return as_text(value);
        }
        rest = tail.get(usize::from(*length)..).unwrap_or_default();
    }
    String::new()
}

fn put_value(message: &mut Messages, kind: u16, value: &[u8]) {
    message.nest(kind, |data| {
        data.put(1, value);
    });
}

fn put_step(list: &mut Messages, step: &Step) {
    match *step {
        Step::Meta { key, register } => expression(list, "meta", |data| {
            data.big(1, register).big(2, key);
        }),
        Step::Conntrack { key, register } => expression(list, "ct", |data| {
            data.big(1, register).big(2, key);
        }),
        Step::DestinationKind { register } => expression(list, "fib", |data| {
            data.big(1, register).big(2, 3).big(3, 2);
        }),
        Step::Payload { base, offset, length, register } => expression(list, "payload", |data| {
            data.big(1, register).big(2, base).big(3, offset).big(4, length);
        }),
        Step::Mask { register, mask } => expression(list, "bitwise", |data| {
            data.big(1, register).big(2, register).big(3, 4);
            put_value(data, 4, &mask.to_ne_bytes());
            put_value(data, 5, &[0; 4]);
        }),
        Step::Equal { register, value } => compare(list, register, 0, value),
        Step::Differs { register, value } => compare(list, register, 1, value),
        Step::In { set, register } => expression(list, "lookup", |data| {
            data.text(1, set).big(2, register);
        }),
        Step::NotIn { set, register } => expression(list, "lookup", |data| {
            data.text(1, set).big(2, register).big(5, 1);
        }),
        Step::Map { map, register, into } => expression(list, "lookup", |data| {
            data.text(1, map).big(2, register).big(3, into);
        }),
        Step::DestinationNat { family, address, port } => expression(list, "nat", |data| {
            data.big(1, 1).big(2, u32::from(family.number())).big(3, address).big(5, port);
        }),
        Step::Load { register, value } => expression(list, "immediate", |data| {
            data.big(1, register);
            put_value(data, 2, value);
        }),
        Step::Masquerade => expression(list, "masq", |_| {}),
        Step::Counter => expression(list, "counter", |data| {
            data.put(1, &[0; 8]).put(2, &[0; 8]);
        }),
        Step::Drop => verdict(list, 0, None),
        Step::Accept => verdict(list, 1, None),
        Step::Jump(chain) => verdict(list, -3, Some(chain)),
    }
}

fn compare(list: &mut Messages, register: u32, operation: u32, value: &[u8]) {
    expression(list, "cmp", |data| {
        data.big(1, register).big(2, operation);
        put_value(data, 3, value);
    });
}

fn verdict(list: &mut Messages, code: i32, chain: Option<&str>) {
    expression(list, "immediate", |data| {
        data.big(1, 0).nest(2, |value| {
            value.nest(2, |verdict| {
                verdict.big(1, code as u32);
                if let Some(chain) = chain {
                    verdict.text(2, chain);
                }
            });
        });
    });
}

fn expression(list: &mut Messages, name: &str, inside: impl FnOnce(&mut Messages)) {
    list.nest(1, |expression| {
        expression.text(1, name).nest(2, inside);
    });
}
