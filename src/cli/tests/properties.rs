//! What holds whatever is written: no text makes a parser panic, and what is printed reads back.

use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::{Value, json};

use crate::cli::args::parse;
use crate::cli::container::filter;
use crate::engine::event::Filters;
use crate::journal::{Event, Kind};
use crate::output::template::{Options, Template, Val};
use crate::output::units::{
    bytes_size, go_duration, human_size, parse_duration, parse_human_size, parse_ram,
};
use crate::registry::Reference;

/// Texts of the letters that grammars are made of.
fn odd() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[a-zA-Z0-9:/@._, =\\[\\]{}|$()\"'%+-]{0,40}"]
}

fn close(printed: i64, bytes: u64, digits: f64) -> bool {
    (printed as f64 - bytes as f64).abs() <= (bytes as f64) * digits + 1.0
}

fn rendered(template: &str, data: &Value) -> Result<String, crate::output::template::Error> {
    let template = Template::parse(template)?;
    let mut out = String::new();
    template.execute(Val::json(data), Options::default(), &mut out).map(|()| out)
}

/// The same cases every time: a failure must not depend on the day.
fn settings() -> ProptestConfig {
    ProptestConfig {
        cases: 1000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(settings())]

    #[test]
    fn sizes_read_back_as_far_as_they_are_printed(bytes in 0_u64..1 << 50) {
        let printed = human_size(bytes as f64);
        prop_assert!(close(parse_human_size(&printed).unwrap(), bytes, 1e-3), "{}", printed);
        let printed = bytes_size(bytes as f64);
        prop_assert!(close(parse_ram(&printed).unwrap(), bytes, 1e-3), "{}", printed);
    }

    #[test]
    fn durations_read_back_exactly(nanoseconds in i64::MIN + 1..) {
        prop_assert_eq!(parse_duration(&go_duration(nanoseconds)).unwrap(), nanoseconds);
    }

    #[test]
    fn references_mean_the_same_however_they_are_written(text in odd()) {
        if let Ok(reference) = Reference::parse(&text) {
            let canonical = reference.canonical();
            prop_assert_eq!(Reference::parse(&canonical).unwrap().canonical(), canonical);
            let familiar = Reference::parse(&reference.familiar()).unwrap();
            prop_assert_eq!(familiar.with_default_tag().canonical(), reference.with_default_tag().canonical());
        }
    }

    #[test]
    fn references_of_their_grammar_are_understood(
        host in "([a-z][a-z0-9]{0,5}\\.[a-z]{2,3}(:[1-9][0-9]{1,3})?/)?",
        // A dot before the first slash would make a host of it.
        path in "[a-z0-9]{1,8}(/[a-z0-9]{1,8}((_|__|-|\\.)[a-z0-9]{1,8}){0,2}){0,2}",
        tag in "(:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,10})?",
    ) {
        let text = format!("{host}{path}{tag}");
        let reference = Reference::parse(&text).unwrap();
        let tagged = tag.strip_prefix(':');
        prop_assert_eq!(reference.tag(), tagged);
        prop_assert_eq!(reference.domain(), if host.is_empty() { "docker.io" } else { host.trim_end_matches('/') });
    }

    #[test]
    fn templates_never_panic_and_leave_plain_text_alone(text in odd(), number in any::<i64>()) {
        let data = json!({ "a": { "b": [1, "two", null] }, "n": number, "s": text });
        let _ = rendered(&text, &data);
        let _ = rendered(&format!("{{{{{text}}}}}"), &data);
        if !text.contains("{{") {
            prop_assert_eq!(rendered(&text, &data).unwrap(), text.clone());
        }
        let through: Value = serde_json::from_str(&rendered("{{json .}}", &data).unwrap()).unwrap();
        prop_assert_eq!(&through, &data);
        prop_assert_eq!(rendered("{{printf \"%d\" .n}}", &data).unwrap(), number.to_string());
        prop_assert_eq!(rendered("{{.s}}", &data).unwrap(), text);
    }

    #[test]
    fn a_filter_more_never_shows_more(keys in prop::collection::vec((0_usize..6, "[a-c]{0,2}"), 0..4)) {
        let key = ["container", "event", "image", "label", "type", "volume"];
        let texts: Vec<String> = keys.iter().map(|(at, value)| format!("{}={value}", key[*at])).collect();
        let event = Event::new(Kind::Container, "a", "ab").with("name", "b").with("image", "a:1");
        let all = Filters::parse(&texts).unwrap().include(&event);
        for (at, text) in texts.iter().enumerate() {
            let alone = keys.iter().enumerate().all(|(other, (key, _))| other == at || *key != keys[at].0);
            if all && alone {
                prop_assert!(Filters::parse(std::slice::from_ref(text)).unwrap().include(&event), "{}", text);
            }
        }
    }

    #[test]
    fn no_value_of_a_flag_panics(text in odd()) {
        let here = Path::new("/here");
        let _ = parse::mount::mount(&text, here);
        let _ = parse::volume::volume(&text, here);
        let _ = parse::tmpfs::tmpfs(&text);
        let _ = parse::port::publish(&text);
        let _ = parse::port::expose(&text);
        let _ = parse::device::device(&text);
        let _ = parse::device::cgroup_rule(&text);
        let _ = parse::network::attachment(&text);
        let _ = parse::keyvalue::label(&text);
        let _ = parse::keyvalue::file(text.as_bytes(), &|_| None);
        let _ = parse::restart::policy(&text);
        let _ = parse::size::ram_bytes(&text);
        let _ = parse::size::nano_cpus(&text);
        let _ = parse::duration::nanoseconds(&text);
        let _ = parse::keys::detach_keys(&text);
        let _ = parse::gpu::gpus(&text);
        let _ = filter::Filters::parse(&[text.clone(), format!("name={text}"), format!("publish={text}")]);
        let clean = parse::path::absolute(&text, here);
        prop_assert!(clean.starts_with('/') && !clean.contains("//") && !clean.split('/').any(|part| part == ".."));
    }
}
