//! CRI's messages as JSON, in protobuf's own mapping: names in camel case, 64-bit numbers as strings, enumerations by
//! name, what is empty written out. And back from what people write by hand, where much is left out.

mod enumerations;
mod read;
mod schema;
mod write;

pub use read::{Unreadable, from_value};
pub use schema::schema;
pub use write::to_value;

/// A field's name in JSON: `created_at` is `createdAt`.
fn camel(name: &str) -> String {
    let mut camel = String::with_capacity(name.len());
    let mut raise = false;
    for letter in name.chars() {
        match letter {
            '_' => raise = true,
            letter if std::mem::take(&mut raise) => camel.push(letter.to_ascii_uppercase()),
            letter => camel.push(letter),
        }
    }
    camel
}

#[cfg(test)]
mod tests;
