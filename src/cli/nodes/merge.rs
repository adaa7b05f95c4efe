//! The outputs of several machines as one: a table with a column more, JSON with a field more, lines with a name
//! before each.

use serde_json::{Map, Value};

use super::line::Shape;
use crate::output::table;

/// The outputs by machine, in the order given, as one text.
pub fn merged(outputs: &[(&str, &str)], shape: Shape) -> String {
    let whole = match shape {
        Shape::Table => tables(outputs),
        Shape::Json => json(outputs),
        Shape::Lines => None,
    };
    whole.unwrap_or_else(|| lines(outputs))
}

/// One line of a machine.
pub fn line(node: &str, text: &str) -> String {
    format!("{node}: {text}")
}

fn lines(outputs: &[(&str, &str)]) -> String {
    let all = outputs.iter().flat_map(|(node, text)| text.lines().map(|one| line(node, one) + "\n"));
    all.collect()
}

/// One table with its titles once. None when the tables are not alike.
fn tables(outputs: &[(&str, &str)]) -> Option<String> {
    let mut titles: Option<Vec<String>> = None;
    let mut text = String::new();
    for (node, output) in outputs {
        let mut lines = output.lines();
        let Some(head) = lines.next() else { continue };
        let starts = columns(head);
        let own: Vec<String> = cells(head, &starts);
        match &titles {
            None => {
                text = format!("NODE\t{}\n", own.join("\t"));
                titles = Some(own);
            }
            Some(known) if *known == own => {}
            Some(_) => return None,
        }
        for row in lines {
            text.push_str(&format!("{node}\t{}\n", cells(row, &starts).join("\t")));
        }
    }
    titles.map(|_| table::align(&text))
}

/// Where the titles begin, in characters: two spaces or more separate them.
fn columns(head: &str) -> Vec<usize> {
    let letters: Vec<char> = head.chars().collect();
    let begins = |at: usize| {
        let before =
            |back: usize| at.checked_sub(back).and_then(|at| letters.get(at)).is_none_or(|one| *one == ' ');
        letters.get(at).is_some_and(|one| *one != ' ') && (at == 0 || (before(1) && before(2)))
    };
    (0..letters.len()).filter(|at| begins(*at)).collect()
}

fn cells(row: &str, starts: &[usize]) -> Vec<String> {
    let letters: Vec<char> = row.chars().collect();
    let ends = starts.iter().skip(1).copied().chain([letters.len()]);
    let cell = |(start, end): (&usize, usize)| {
        let end = end.min(letters.len());
        let cell: String = letters.get(*start..end).unwrap_or_default().iter().collect();
        cell.trim_end().to_owned()
    };
    starts.iter().zip(ends).map(cell).collect()
}

/// Every object with its `Node`: one array when they came as arrays, else a line each. None when it is no JSON.
fn json(outputs: &[(&str, &str)]) -> Option<String> {
    let (mut all, mut arrays, mut indented) = (Vec::new(), false, false);
    for (node, text) in outputs {
        for value in serde_json::Deserializer::from_str(text).into_iter::<Value>() {
            match value.ok()? {
                Value::Array(values) => {
                    arrays = true;
                    all.extend(values.into_iter().map(|value| named(node, value)));
                }
                value => all.push(named(node, value)),
            }
        }
        indented |= text.trim_end().contains('\n');
    }
    if !arrays {
        return Some(all.iter().map(|value| format!("{value}\n")).collect());
    }
    let array = Value::Array(all);
    let text = if indented {
        let mut bytes = Vec::new();
        let four = serde_json::ser::PrettyFormatter::with_indent(b"    ");
        serde::Serialize::serialize(&array, &mut serde_json::Serializer::with_formatter(&mut bytes, four))
            .ok()?;
        String::from_utf8(bytes).ok()?
    } else {
        array.to_string()
    };
    Some(text + "\n")
}

fn named(node: &str, value: Value) -> Value {
    let mut object = Map::from_iter([("Node".to_owned(), Value::from(node))]);
    match value {
        Value::Object(fields) => object.extend(fields),
        other => drop(object.insert("Value".into(), other)),
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_table_with_a_column_more() {
        let one =
            "CONTAINER ID   COMMAND       PORTS     NAMES\nabc            \"a   b ü\"               web\n";
        let two = "CONTAINER ID   COMMAND   PORTS     NAMES\ndef            \"x\"       80/tcp    a-name-that-is-long\n";
        let empty = "CONTAINER ID   COMMAND   PORTS     NAMES\n";
        assert_eq!(
            merged(&[("n1", one), ("node-2", two), ("n3", empty)], Shape::Table),
            "NODE      CONTAINER ID   COMMAND     PORTS     NAMES\n\
             n1        abc            \"a   b ü\"             web\n\
             node-2    def            \"x\"         80/tcp    a-name-that-is-long\n"
        );
        // What is not alike stays as it is.
        assert_eq!(
            merged(&[("a", "X   Y\n1   2\n"), ("b", "Z\n3\n")], Shape::Table),
            "a: X   Y\na: 1   2\nb: Z\nb: 3\n"
        );
    }

    #[test]
    fn json_has_a_field_more() {
        assert_eq!(
            merged(&[("a", "{\"ID\":\"1\"}\n{\"ID\":\"2\"}\n"), ("b", "")], Shape::Json),
            "{\"Node\":\"a\",\"ID\":\"1\"}\n{\"Node\":\"a\",\"ID\":\"2\"}\n"
        );
        let array = "[\n    {\n        \"Id\": \"1\"\n    }\n]\n";
        assert_eq!(
            merged(&[("a", array), ("b", "[]\n")], Shape::Json),
            "[\n    {\n        \"Node\": \"a\",\n        \"Id\": \"1\"\n    }\n]\n"
        );
        assert_eq!(merged(&[("a", ""), ("b", "")], Shape::Json), "");
        assert_eq!(merged(&[("a", "oops\n")], Shape::Json), "a: oops\n");
    }
}
