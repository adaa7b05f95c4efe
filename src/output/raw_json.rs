//! JSON text laid out anew as Go does it, its keys, numbers and escapes left as they are.

/// A text without space between its tokens, `<`, `>` and `&` escaped: what Go makes of JSON inside of JSON.
pub fn compact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for token in tokens(text) {
        if !token.starts_with('"') {
            out.push_str(token);
            continue;
        }
        for letter in token.chars() {
            match letter {
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                    out.push_str(&format!("\\u{:04x}", u32::from(letter)));
                }
                _ => out.push(letter),
            }
        }
    }
    out
}

/// A text with a line a value, each level set in by one more `unit`. Empty objects and lists stay on one line.
pub fn indented(text: &str, unit: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    let mut depth = 0;
    let mut tokens = tokens(text).peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.push_str(&unit.repeat(depth));
    };
    while let Some(token) = tokens.next() {
        match token {
            "{" | "[" => {
                out.push_str(token);
                match tokens.next_if(|next| matches!(*next, "}" | "]")) {
                    Some(end) => out.push_str(end),
                    None => {
                        depth += 1;
                        line(&mut out, depth);
                    }
                }
            }
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push_str(token);
            }
            "," => {
                out.push(',');
                line(&mut out, depth);
            }
            ":" => out.push_str(": "),
            _ => out.push_str(token),
        }
    }
    out
}

/// Brackets, commas, colons, strings with their quotes, and words.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let end = match rest.chars().next()? {
            '"' => string_end(rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => rest.find(['{', '}', '[', ']', ',', ':', '"', ' ', '\t', '\r', '\n']).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end);
        rest = after;
        Some(token)
    })
}

fn string_end(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'\\' if !escaped => escaped = true,
            b'"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_laid_out_as_go_does() {
        let text = "{\"a\" : [ ],\n\"b\":{ }, \"c\": [1.0,{\"d\":\"x\\\"{,<é\"}] , \"e\":null}";
        assert_eq!(
            indented(text, "\t"),
            "{\n\t\"a\": [],\n\t\"b\": {},\n\t\"c\": [\n\t\t1.0,\n\t\t{\n\t\t\t\"d\": \"x\\\"{,<é\"\n\t\t}\n\t],\n\t\"e\": null\n}"
        );
        assert_eq!(compact(text), "{\"a\":[],\"b\":{},\"c\":[1.0,{\"d\":\"x\\\"{,\\u003cé\"}],\"e\":null}");
        for odd in ["", "\"", "\"\\", "]}", "{", "é\"", "[\"a\\\\\"]"] {
            let _ = (indented(odd, " "), compact(odd));
        }
    }
}
