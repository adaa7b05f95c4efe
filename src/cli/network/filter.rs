//! `network ls --filter`: docker's keys. Values of one key are alternatives, labels and keys must all hold.

use regex_lite::Regex;

use crate::cli::args::parse::number;
use crate::engine::network::Listed;
use crate::error::{Error, Result};

const KEYS: [&str; 7] = ["dangling", "driver", "id", "label", "name", "scope", "type"];

/// What the user asked for.
#[derive(Debug, Default)]
pub struct Filters {
    wanted: Vec<(String, String)>,
}

impl Filters {
    /// From `KEY=VALUE` texts.
    ///
    /// # Errors
    /// docker's words for a text without `=`, a key or a value that it does not know.
    pub fn parse(texts: &[String]) -> Result<Self> {
        let mut wanted = Vec::new();
        for text in texts {
            let (key, value) = text.split_once('=').ok_or_else(|| {
                Error::usage(format!(
                    "invalid argument {text:?} for \"-f, --filter\" flag: invalid filter '{text}'"
                ))
                .hint("write it as KEY=VALUE")
            })?;
            let (key, value) = (key.trim().to_lowercase(), value.trim().to_owned());
            let refused = |what: String| {
                Err(Error::failed(format!("Error response from daemon: invalid filter {what}")))
            };
            match key.as_str() {
                _ if !KEYS.contains(&key.as_str()) => {
                    return refused(format!("'{key}'"))
                        .map_err(|error: Error| error.hint(format!("the filters are {}", KEYS.join(", "))));
                }
                "dangling" if number::switch(&value).is_err() => {
                    return refused(format!("'dangling=[{value}]'"));
                }
                "type" if value != "custom" && value != "builtin" => {
                    return refused(format!("'type'='{value}'"))
                        .map_err(|error: Error| error.hint("it is custom or builtin"));
                }
                _ => wanted.push((key, value)),
            }
        }
        Ok(Self { wanted })
    }

    /// Whether it must be known which networks are used.
    pub fn asks_for_users(&self) -> bool {
        self.wanted.iter().any(|(key, _)| key == "dangling")
    }

    /// Whether the network is wanted; `used` says whether a container refers to it.
    pub fn include(&self, listed: &Listed, used: bool) -> bool {
        let any = |key: &str, test: &dyn Fn(&str) -> bool| {
            let mut values = self.wanted.iter().filter(|(known, _)| known == key).peekable();
            values.peek().is_none() || values.any(|(_, value)| test(value))
        };
        let labels = self.wanted.iter().filter(|(key, _)| key == "label");
        any("dangling", &|value| (number::switch(value) == Ok(true)) == (!used && !listed.builtin))
            && any("driver", &|value| listed.driver == value)
            && any("id", &|value| matches(&listed.id, value))
            && any("name", &|value| matches(&listed.name, value))
            && any("scope", &|value| value == "local")
            && any("type", &|value| (value == "builtin") == listed.builtin)
            && labels.map(|(_, value)| value).all(|value| match value.split_once('=') {
                Some((key, wanted)) => listed.labels.get(key).is_some_and(|found| found == wanted),
                None => listed.labels.contains_key(value),
            })
    }
}

/// A part of the text, or a regular expression, as docker has it.
fn matches(text: &str, wanted: &str) -> bool {
    text.contains(wanted) || Regex::new(wanted).is_ok_and(|pattern| pattern.is_match(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(name: &str, driver: &str, labels: &[(&str, &str)]) -> Listed {
        Listed {
            id: "abcdef".into(),
            name: name.into(),
            driver: driver.into(),
            ipv4: true,
            ipv6: false,
            internal: false,
            labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            created: None,
            builtin: name == "bridge",
            network: None,
        }
    }

    #[test]
    fn keys_are_dockers() {
        let shop = listed("shop", "macvlan", &[("a", "1"), ("b", "")]);
        for (texts, used, expected) in [
            (&[][..], false, true),
            (&["name=sho"], false, true),
            (&["name=^ho"], false, false),
            (&["name=x", "name=^shop$"], false, true),
            (&["driver=macvlan", "id=abc", "scope=local", "type=custom"], false, true),
            (&["driver=bridge"], false, false),
            (&["scope=swarm"], false, false),
            (&["type=builtin"], false, false),
            (&["dangling=true"], false, true),
            (&["dangling=true"], true, false),
            (&["dangling=false"], true, true),
            (&["label=a", "label=b="], false, true),
            (&["label=a", "label=c"], false, false),
            (&["label=a=2"], false, false),
        ] {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            assert_eq!(Filters::parse(&texts).unwrap().include(&shop, used), expected, "{texts:?} {used}");
        }
        let bridge = listed("bridge", "bridge", &[]);
        let builtin = Filters::parse(&["type=builtin".into(), "dangling=false".into()]).unwrap();
        assert!(builtin.include(&bridge, false) && builtin.asks_for_users());
        for (text, words) in [
            ("nonsense", "invalid argument \"nonsense\" for \"-f, --filter\" flag"),
            ("colour=red", "invalid filter 'colour'"),
            ("type=odd", "invalid filter 'type'='odd'"),
            ("dangling=perhaps", "invalid filter 'dangling=[perhaps]'"),
        ] {
            let error = Filters::parse(&[text.into()]).unwrap_err();
            assert!(error.message.contains(words), "{}", error.message);
        }
    }
}
