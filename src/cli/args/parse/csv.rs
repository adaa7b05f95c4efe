//! One record of comma-separated fields with quotes, as Go's encoding/csv reads it: the form of `--mount` and
//! of `--network`'s long form.

use super::Parsed;

/// The fields of one record.
pub fn fields(record: &str) -> Parsed<Vec<String>> {
    if record.is_empty() {
        return Err("EOF".into());
    }
    let mut fields = Vec::new();
    let mut rest = record;
    loop {
        let column = record.len() - rest.len() + 1;
        let (field, tail) = match rest.strip_prefix('"') {
            Some(quoted) => quoted_field(quoted, record)?,
            None => {
                let end = rest.find(',').unwrap_or(rest.len());
                let (field, tail) = rest.split_at(end);
                if let Some(quote) = field.find('"') {
                    let column = column + quote;
                    return Err(format!(
                        "parse error on line 1, column {column}: bare \" in non-quoted field"
                    ));
                }
                (field.to_owned(), tail)
            }
        };
        fields.push(field);
        match tail.strip_prefix(',') {
            Some(next) => rest = next,
            None => return Ok(fields),
        }
    }
}

/// A field after its opening quote, and what follows its closing one.
fn quoted_field<'a>(text: &'a str, record: &str) -> Parsed<(String, &'a str)> {
    let wrong = |rest: &str| {
        let column = record.len() - rest.len() + 1;
        format!("parse error on line 1, column {column}: extraneous or missing \" in quoted-field")
    };
    let mut field = String::new();
    let mut rest = text;
    loop {
        let Some(quote) = rest.find('"') else { return Err(wrong("")) };
        field.push_str(&rest[..quote]);
        let tail = &rest[quote + 1..];
        if let Some(next) = tail.strip_prefix('"') {
            field.push('"');
            rest = next;
        } else if tail.is_empty() || tail.starts_with(',') {
            return Ok((field, tail));
        } else {
            return Err(wrong(&rest[quote..]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records() {
        for (text, want) in [
            ("a", vec!["a"]),
            ("a,b", vec!["a", "b"]),
            ("a,", vec!["a", ""]),
            (r#"type=bind,"src=/a,b",ro"#, vec!["type=bind", "src=/a,b", "ro"]),
            (r#""say ""hi""""#, vec![r#"say "hi""#]),
        ] {
            assert_eq!(fields(text).unwrap(), want, "{text}");
        }
        assert_eq!(fields("").unwrap_err(), "EOF");
        assert_eq!(
            fields(r#"a,b"c"#).unwrap_err(),
            r#"parse error on line 1, column 4: bare " in non-quoted field"#
        );
        assert!(fields(r#""abc"#).unwrap_err().contains(r#"extraneous or missing " in quoted-field"#));
        assert!(fields(r#""a"b"#).unwrap_err().contains("column 3: extraneous"));
    }
}
