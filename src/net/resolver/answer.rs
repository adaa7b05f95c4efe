//! A question's bytes to an answer's bytes. Pure: what containers ask is hostile.

use std::net::IpAddr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::{Transport, Zone};

/// How long an answer may be kept, in seconds: containers come and go.
const KEPT: u32 = 10;
/// What a datagram may hold where the question does not say, and what we say ourselves.
const PLAIN: u16 = 512;
const EXTENDED: u16 = 1232;
const HEADER: usize = 12;

/// What becomes of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// These bytes are the answer.
    Reply(Vec<u8>),
    /// No container is called so: the name servers outside may know.
    Forward,
    /// It is no question: silence.
    Nothing,
}

/// Answers `question` of `asker` from the zone. `turn` grows with every question, so that a name's addresses
/// take turns at the head of the answer.
pub fn answer(zone: &Zone, asker: &str, question: &[u8], (transport, turn): (Transport, usize)) -> Verdict {
    let Some(header) = question.first_chunk::<HEADER>() else { return Verdict::Nothing };
    // A response, which nobody has asked for.
    if header[2] & 0x80 != 0 {
        return Verdict::Nothing;
    }
    let Ok(message) = Message::from_vec(question) else { return failure(question, ResponseCode::FormErr) };
    if message.metadata.op_code != OpCode::Query {
        return failure(question, ResponseCode::NotImp);
    }
    let [query] = message.queries.as_slice() else { return failure(question, ResponseCode::FormErr) };
    let transfer = matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR);
    if query.query_class() != DNSClass::IN || transfer {
        return failure(question, ResponseCode::Refused);
    }
    match records(zone, asker, query, turn) {
        Some(records) => reply(&message, query, records, transport),
        None if zone
            .members
            .get(asker)
            .is_some_and(|member| member.outside || !member.servers.is_empty()) =>
        {
            Verdict::Forward
        }
        // Its networks lead nowhere else: this is all there is.
        None => failure(question, ResponseCode::NXDomain),
    }
}

/// The records of a name that is known, none of them where it has none of that type; None for an unknown name.
fn records(zone: &Zone, asker: &str, query: &Query, turn: usize) -> Option<Vec<Record>> {
    let name = query.name();
    if query.query_type() == RecordType::PTR {
        let address = reversed(name)?;
        let known = Name::from_ascii(zone.name(asker, address)? + ".").ok()?;
        return Some(vec![Record::from_rdata(name.clone(), KEPT, RData::PTR(PTR(known)))]);
    }
    let text = name.to_ascii().to_ascii_lowercase();
    let mut addresses = zone.addresses(asker, text.strip_suffix('.').unwrap_or(&text))?;
    let wanted = |address: &IpAddr| match query.query_type() {
        RecordType::A => address.is_ipv4(),
        RecordType::AAAA => address.is_ipv6(),
        RecordType::ANY => true,
        _ => false,
    };
    addresses.retain(wanted);
    if !addresses.is_empty() {
        let by = turn % addresses.len();
        addresses.rotate_left(by);
    }
    let data = |address: &IpAddr| match *address {
        IpAddr::V4(address) => RData::A(A(address)),
        IpAddr::V6(address) => RData::AAAA(AAAA(address)),
    };
    Some(addresses.iter().map(|address| Record::from_rdata(name.clone(), KEPT, data(address))).collect())
}

/// The address that a name below in-addr.arpa or ip6.arpa stands for, where it is a whole one.
fn reversed(name: &Name) -> Option<IpAddr> {
    let whole = name.parse_arpa_name().ok()?;
    (whole.prefix_len() == whole.max_prefix_len()).then(|| whole.addr())
}

fn reply(question: &Message, query: &Query, records: Vec<Record>, transport: Transport) -> Verdict {
    let mut message = Message::response(question.metadata.id, OpCode::Query);
    message.metadata.authoritative = true;
    message.metadata.recursion_desired = question.metadata.recursion_desired;
    message.metadata.recursion_available = true;
    message.add_query(query.clone());
    let mut limit = usize::from(u16::MAX);
    if let Some(asked) = &question.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(EXTENDED);
        message.set_edns(edns);
        if transport == Transport::Udp {
            limit = asked.max_payload().clamp(PLAIN, EXTENDED).into();
        }
    } else if transport == Transport::Udp {
        limit = PLAIN.into();
    }
    message.add_answers(records);
    let whole = message.to_vec();
    let fits = whole.as_ref().is_ok_and(|bytes| bytes.len() <= limit);
    let bytes = if fits { whole } else { message.truncate().to_vec() };
    bytes.map_or(Verdict::Nothing, Verdict::Reply)
}

/// The answer where nobody outside could be asked; None for what is no question.
pub fn unavailable(question: &[u8]) -> Option<Vec<u8>> {
    match failure(question, ResponseCode::ServFail) {
        Verdict::Reply(reply) => Some(reply),
        Verdict::Forward | Verdict::Nothing => None,
    }
}

/// An answer that is only an error, with the question where it can be read.
fn failure(question: &[u8], code: ResponseCode) -> Verdict {
    let Some(header) = question.first_chunk::<HEADER>() else { return Verdict::Nothing };
    let id = u16::from_be_bytes([header[0], header[1]]);
    let mut message = Message::new(id, MessageType::Response, OpCode::from_u8((header[2] >> 3) & 15));
    message.metadata.recursion_desired = header[2] & 1 != 0;
    message.metadata.recursion_available = true;
    message.metadata.response_code = code;
    if let Ok(asked) = Message::from_vec(question) {
        message.add_queries(asked.queries.into_iter().take(1));
        if asked.edns.is_some() {
            message.set_edns(Edns::new());
        }
    }
    message.to_vec().map_or(Verdict::Nothing, Verdict::Reply)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::zone::tests::{seat, zone};
    use super::*;

    fn question(name: &str, kind: RecordType) -> Message {
        let mut message = Message::query();
        message.metadata.recursion_desired = true;
        message.add_query(Query::query(Name::from_ascii(name).unwrap(), kind));
        message
    }

    fn ask(zone: &Zone, name: &str, kind: RecordType) -> Verdict {
        answer(zone, "a-web", &question(name, kind).to_vec().unwrap(), (Transport::Udp, 0))
    }

    fn told(verdict: Verdict) -> (ResponseCode, Vec<String>) {
        let Verdict::Reply(bytes) = verdict else { panic!("no reply: {verdict:?}") };
        let message = Message::from_vec(&bytes).unwrap();
        assert!(message.metadata.recursion_available && message.queries.len() == 1);
        let data = message.answers.iter().map(|record| record.data.to_string());
        (message.metadata.response_code, data.collect())
    }

    #[test]
    fn known_names_unknown_types_and_unknown_names() {
        let zone = zone();
        let good =
            |data: &[&str]| (ResponseCode::NoError, data.iter().map(|&text| text.to_owned()).collect());
        assert_eq!(told(ask(&zone, "WEB.", RecordType::A)), good(&["10.1.0.2"]));
        assert_eq!(told(ask(&zone, "web.front.", RecordType::AAAA)), good(&["fd00::2"]));
        assert_eq!(told(ask(&zone, "proxy.", RecordType::AAAA)), good(&[]), "known, but not by IPv6");
        assert_eq!(told(ask(&zone, "proxy.", RecordType::MX)), good(&[]));
        assert_eq!(told(ask(&zone, "2.0.1.10.in-addr.arpa.", RecordType::PTR)), good(&["web.front."]));
        let six = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa.";
        assert_eq!(told(ask(&zone, six, RecordType::PTR)), good(&["web.front."]));
        for (name, kind) in [
            ("db.", RecordType::A),
            ("example.org.", RecordType::A),
            ("9.9.9.9.in-addr.arpa.", RecordType::PTR),
            ("0.1.10.in-addr.arpa.", RecordType::PTR),
        ] {
            assert_eq!(ask(&zone, name, kind), Verdict::Forward, "{name}");
        }
        assert_eq!(told(ask(&zone, "web.", RecordType::AXFR)).0, ResponseCode::Refused);
        let mut inside = zone;
        inside.members.get_mut("a-web").unwrap().outside = false;
        assert_eq!(told(ask(&inside, "example.org.", RecordType::A)).0, ResponseCode::NXDomain);
        assert_eq!(told(ask(&inside, "web.", RecordType::A)).1, ["10.1.0.2"]);
        inside.members.get_mut("a-web").unwrap().servers.push("192.0.2.53".parse().unwrap());
        assert_eq!(ask(&inside, "example.org.", RecordType::A), Verdict::Forward);
    }

    #[test]
    fn addresses_take_turns_and_what_does_not_fit_is_cut() {
        let mut zone = zone();
        let many: Vec<String> = (1..=100).map(|last| format!("10.1.7.{last}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        zone.members.get_mut("a-proxy").unwrap().seats.push(seat("front", &["many"], &many));
        let bytes = question("shop.", RecordType::A).to_vec().unwrap();
        let heads: Vec<String> = (0..4)
            .map(|turn| told(answer(&zone, "a-web", &bytes, (Transport::Udp, turn))).1.remove(0))
            .collect();
        assert_eq!(heads, ["10.1.0.2", "10.1.0.3", "10.1.0.2", "10.1.0.3"]);
        let mut question = question("many.", RecordType::A);
        for (edns, transport, count, truncated) in [
            (None, Transport::Udp, 0, true),
            (Some(1232), Transport::Udp, 0, true),
            (Some(1232), Transport::Tcp, 100, false),
            (None, Transport::Tcp, 100, false),
        ] {
            question.edns = edns.map(|size| {
                let mut edns = Edns::new();
                edns.set_max_payload(size);
                edns
            });
            let verdict = answer(&zone, "a-web", &question.to_vec().unwrap(), (transport, 0));
            let Verdict::Reply(bytes) = verdict else { panic!("{verdict:?}") };
            let message = Message::from_vec(&bytes).unwrap();
            assert_eq!((message.answers.len(), message.metadata.truncation), (count, truncated), "{edns:?}");
            assert!(transport == Transport::Tcp || bytes.len() <= 1232);
        }
    }

    #[test]
    fn what_is_no_question_is_refused_or_ignored() {
        let zone = zone();
        let bytes = question("web.", RecordType::A).to_vec().unwrap();
        let ask = |bytes: &[u8]| answer(&zone, "a-web", bytes, (Transport::Udp, 0));
        assert_eq!(ask(&bytes[..11]), Verdict::Nothing);
        let mut response = bytes.clone();
        response[2] |= 0x80;
        assert_eq!(ask(&response), Verdict::Nothing);
        let code = |verdict: Verdict| {
            let Verdict::Reply(bytes) = verdict else { panic!("{verdict:?}") };
            Message::from_vec(&bytes).unwrap().metadata.response_code
        };
        assert_eq!(code(ask(&bytes[..bytes.len() - 1])), ResponseCode::FormErr);
        let mut update = bytes.clone();
        update[2] = 5 << 3;
        assert!(matches!(code(ask(&update)), ResponseCode::NotImp | ResponseCode::FormErr));
        let mut two = question("web.", RecordType::A);
        two.add_query(Query::query(Name::from_ascii("db.").unwrap(), RecordType::A));
        assert_eq!(code(ask(&two.to_vec().unwrap())), ResponseCode::FormErr);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_much(bytes in prop::collection::vec(any::<u8>(), 0..600), tcp: bool) {
            let transport = if tcp { Transport::Tcp } else { Transport::Udp };
            if let Verdict::Reply(reply) = answer(&zone(), "a-web", &bytes, (transport, 7)) {
                prop_assert_eq!(&reply[..2], &bytes[..2]);
                prop_assert!(reply.len() <= 1232 || tcp);
            }
        }

        #[test]
        fn nor_any_question_that_is_bent(at in 0usize..40, by: u8, name in "[a-z.]{0,20}") {
            let Ok(name) = Name::from_ascii(format!("{name}.")) else { return Ok(()) };
            let mut message = Message::query();
            message.add_query(Query::query(name, RecordType::A));
            let mut bytes = message.to_vec().unwrap();
            let at = at % bytes.len();
            bytes[at] ^= by;
            let _ = answer(&zone(), "a-web", &bytes, (Transport::Udp, 0));
        }
    }
}
