//! `--format` of docker's lists: a kind of row is data about its columns, and that data serves the default table,
//! templates, JSON and completion.

use serde_json::{Map, Value};

use super::template::{Fields, Methods, Options, Shape, Template, Val};
use super::{Ui, table};
use crate::{Error, Result};

/// A named column of a row type `T`.
pub struct Column<T> {
    /// The name in templates and in JSON: `ID`.
    pub name: &'static str,
    /// The title in a table: `CONTAINER ID`; empty for what has none.
    pub header: &'static str,
    /// The value in one row; called only for columns that are used.
    pub value: fn(&T) -> Value,
}

/// What templates can ask a row beside its columns, such as `.Label "key"`.
pub struct Method<T> {
    /// The name in templates: `Label`.
    pub name: &'static str,
    /// The answer for one argument.
    pub call: fn(&T, &str) -> Value,
}

/// Everything a list can show of its rows.
pub struct Listing<T: 'static> {
    /// Go's name of docker's row type, for messages: `*formatter.ContainerContext`.
    pub type_name: &'static str,
    /// All columns.
    pub columns: &'static [Column<T>],
    /// All methods.
    pub methods: &'static [Method<T>],
    /// The names of the default table's columns, in order.
    pub table: &'static [&'static str],
    /// The name of the only column that `--quiet` prints.
    pub quiet: &'static str,
    /// The template of `--format raw`; empty for lists without.
    pub raw: &'static str,
}

/// A checked `--format` for rows of type `T`.
pub struct Format<T: 'static> {
    listing: Listing<T>,
    form: Form,
}

enum Form {
    /// The default table: these columns, with their titles.
    Table(Vec<usize>),
    /// One column, no title.
    Quiet(usize),
    /// A JSON object a line.
    Json,
    /// A template, by row; in a table also for the titles.
    Template { template: Template, table: bool, shape: Shape, fields: Fields },
}

impl<T> Clone for Listing<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Listing<T> {}

impl<T> Listing<T> {
    fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    fn method(&self, name: &str) -> Option<&Method<T>> {
        self.methods.iter().find(|method| method.name == name)
    }

    /// The hint that lists what a template may use.
    fn known(&self) -> String {
        let columns = self.columns.iter().map(|column| format!(".{}", column.name));
        let methods = self.methods.iter().map(|method| format!(".{} \"key\"", method.name));
        format!("the fields are {}", columns.chain(methods).collect::<Vec<_>>().join(", "))
    }
}

impl<T> Format<T> {
    /// Reads `--format` (none or empty: the default table) and `--quiet`, which wins. A template that cannot be
    /// parsed, or that uses what the rows do not have, is an error now, before any row exists.
    pub fn parse(text: Option<&str>, quiet: bool, listing: Listing<T>) -> Result<Self> {
        let text = text.unwrap_or_default();
        let form = match text {
            _ if quiet => Form::Quiet(listing.position(listing.quiet).unwrap_or(0)),
            "" | "table" => {
                Form::Table(listing.table.iter().filter_map(|name| listing.position(name)).collect())
            }
            "json" => Form::Json,
            "raw" if !listing.raw.is_empty() => Self::template(listing.raw, false, &listing)?,
            _ => match text.strip_prefix("table") {
                Some(text) => Self::template(text, true, &listing)?,
                None => Self::template(text, false, &listing)?,
            },
        };
        Ok(Self { listing, form })
    }

    fn template(text: &str, table: bool, listing: &Listing<T>) -> Result<Form> {
        let text = text.trim_matches(' ').replace("\\t", "\t").replace("\\n", "\n");
        let template = Template::parse(&text)?;
        let known = |name: &str| listing.position(name).is_some() || listing.method(name).is_some();
        template
            .check_fields(listing.type_name, known)
            .map_err(|error| Error::from(error).hint(listing.known()))?;
        let shape = Shape::record(listing.type_name, listing.columns.iter().map(|column| column.name));
        let fields = template.fields();
        Ok(Form::Template { template, table, shape, fields })
    }

    /// Whether a column's value will be asked for: what costs a call of its own is made only then.
    pub fn uses(&self, name: &str) -> bool {
        match &self.form {
            Form::Table(columns) => columns.iter().any(|index| self.listing.columns[*index].name == name),
            Form::Quiet(column) => self.listing.columns[*column].name == name,
            Form::Json => true,
            Form::Template { fields, .. } => fields.uses(name),
        }
    }

    /// Whether the rows are for a reader's eye: a table.
    pub fn is_table(&self) -> bool {
        matches!(self.form, Form::Table(_) | Form::Template { table: true, .. })
    }

    /// Writes all rows to stdout, below their titles in a table. After an error in a template nothing is written.
    pub fn write<'r>(&self, ui: &mut Ui, rows: impl IntoIterator<Item = &'r T>) -> Result<()> {
        ui.print(self.text(rows)?)
    }

    /// What [`Format::write`] writes.
    pub fn text<'r>(&self, rows: impl IntoIterator<Item = &'r T>) -> Result<String> {
        let mut text = self.header();
        for row in rows {
            self.append(row, &mut text)?;
            text.push('\n');
        }
        Ok(if self.is_table() { table::align(&text) } else { text })
    }

    /// One row without a newline and unaligned, for what comes as a stream.
    pub fn row(&self, row: &T) -> Result<String> {
        let mut text = String::new();
        self.append(row, &mut text)?;
        Ok(text)
    }

    fn append(&self, row: &T, out: &mut String) -> Result<()> {
        match &self.form {
            Form::Table(columns) => {
                for (position, index) in columns.iter().enumerate() {
                    if position > 0 {
                        out.push('\t');
                    }
                    push_value(out, &(self.listing.columns[*index].value)(row));
                }
            }
            Form::Quiet(column) => push_value(out, &(self.listing.columns[*column].value)(row)),
            Form::Json => out.push_str(&super::template::encode_row(&self.values(row, |_| true))),
            Form::Template { template, shape, fields, .. } => {
                let entries = self.values(row, |name| fields.uses(name));
                let methods = RowMethods { listing: &self.listing, row, entries: &entries };
                let data = Val::record(&entries, shape, &methods);
                template.execute(data, Options::default(), out)?;
            }
        }
        Ok(())
    }

    fn values(&self, row: &T, wanted: impl Fn(&str) -> bool) -> Map<String, Value> {
        let columns = self.listing.columns.iter().filter(|column| wanted(column.name));
        columns.map(|column| (column.name.to_owned(), (column.value)(row))).collect()
    }

    /// The titles of a table and a newline; nothing for other forms.
    fn header(&self) -> String {
        let mut out = String::new();
        match &self.form {
            Form::Table(columns) => {
                let titles: Vec<&str> =
                    columns.iter().map(|index| self.listing.columns[*index].header).collect();
                out.push_str(&titles.join("\t"));
            }
            Form::Template { template, table: true, shape, .. } => {
                let titled = self.listing.columns.iter().filter(|column| !column.header.is_empty());
                let titles: Map<String, Value> =
                    titled.map(|column| (column.name.to_owned(), column.header.into())).collect();
                let options = Options { header: true, ..Options::default() };
                let methods = HeaderMethods(&self.listing);
                // As in docker, what a template does to a title is no reason to fail: the rows tell.
                let _ = template.execute(Val::record(&titles, shape, &methods), options, &mut out);
            }
            Form::Quiet(_) | Form::Json | Form::Template { .. } => return out,
        }
        out.push('\n');
        out
    }
}

fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::String(text) => out.push_str(text),
        _ => Val::json(value).print(out),
    }
}

struct RowMethods<'r, T: 'static> {
    listing: &'r Listing<T>,
    row: &'r T,
    entries: &'r Map<String, Value>,
}

impl<T> Methods for RowMethods<'_, T> {
    fn call(&self, name: &str, argument: &str) -> Option<Value> {
        self.listing.method(name).map(|method| (method.call)(self.row, argument))
    }

    fn has(&self, name: &str) -> bool {
        self.listing.method(name).is_some()
    }

    fn to_json(&self) -> Option<String> {
        Some(super::template::encode_row(self.entries))
    }
}

struct HeaderMethods<'r, T: 'static>(&'r Listing<T>);

impl<T> Methods for HeaderMethods<'_, T> {
    /// A label's title is the last part of its name.
    fn call(&self, name: &str, argument: &str) -> Option<Value> {
        let last = argument.rsplit('.').next().unwrap_or_default();
        self.has(name).then(|| last.replace(['-', '_'], " ").into())
    }

    fn has(&self, name: &str) -> bool {
        self.0.method(name).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Container {
        id: &'static str,
        names: &'static str,
        image: &'static str,
    }

    const LISTING: Listing<Container> = Listing {
        type_name: "*formatter.ContainerContext",
        columns: &[
            Column { name: "ID", header: "CONTAINER ID", value: |row: &Container| row.id.into() },
            Column { name: "Names", header: "NAMES", value: |row| row.names.into() },
            Column { name: "Image", header: "IMAGE", value: |row| row.image.into() },
            Column { name: "Current", header: "", value: |row| (row.id == "1").into() },
        ],
        methods: &[Method {
            name: "Label",
            call: |row, key| if key == "com.x.my-key" { row.names.into() } else { "".into() },
        }],
        table: &["ID", "Image", "Names"],
        quiet: "ID",
        raw: "container_id: {{.ID}}\nnames:{{- pad .Names 1 0}}\n",
    };

    fn show(format: Option<&str>, quiet: bool, rows: &[Container]) -> Result<String, String> {
        let (mut ui, captured) = Ui::captured();
        let format = Format::parse(format, quiet, LISTING).map_err(|error| error.message)?;
        format.write(&mut ui, rows).map_err(|error| error.message)?;
        Ok(captured.out())
    }

    fn rows() -> Vec<Container> {
        vec![
            Container { id: "1", names: "web", image: "<none>" },
            Container { id: "2", names: "a-long-name", image: "busybox" },
        ]
    }

    #[test]
    fn forms_are_dockers() {
        for (format, expected) in [
            (
                None,
                "CONTAINER ID   IMAGE     NAMES\n1              <none>    web\n2              busybox   a-long-name\n",
            ),
            (
                Some("table"),
                "CONTAINER ID   IMAGE     NAMES\n1              <none>    web\n2              busybox   a-long-name\n",
            ),
            (
                Some("table {{.Names}}\\t{{.ID}}"),
                "NAMES         CONTAINER ID\nweb           1\na-long-name   2\n",
            ),
            (Some("table {{.ID}}: {{upper .Names}}"), "CONTAINER ID: NAMES\n1: WEB\n2: A-LONG-NAME\n"),
            (
                Some("table {{.ID}}\t{{.Label \"com.x.my-key\"}}"),
                "CONTAINER ID   my key\n1              web\n2              a-long-name\n",
            ),
            (
                Some("table {{.ID}}\t{{.Current}}"),
                "CONTAINER ID   <no value>\n1              true\n2              false\n",
            ),
            (Some("{{.ID}}\\t{{.Names}}"), "1\tweb\n2\ta-long-name\n"),
            (Some("{{.ID}}\\n"), "1\n\n2\n\n"),
            (Some("{{if .Current}}*{{end}}{{.ID}}"), "*1\n2\n"),
            (Some("{{.Label \"com.x.my-key\"}}|{{.Label \"none\"}}"), "web|\na-long-name|\n"),
            (
                Some("json"),
                concat!(
                    "{\"Current\":true,\"ID\":\"1\",\"Image\":\"\\u003cnone\\u003e\",\"Names\":\"web\"}\n",
                    "{\"Current\":false,\"ID\":\"2\",\"Image\":\"busybox\",\"Names\":\"a-long-name\"}\n",
                ),
            ),
            (
                Some("{{json .}}"),
                concat!(
                    "{\"Current\":true,\"ID\":\"1\",\"Image\":\"\\u003cnone\\u003e\",\"Names\":\"web\"}\n",
                    "{\"Current\":false,\"ID\":\"2\",\"Image\":\"busybox\",\"Names\":\"a-long-name\"}\n",
                ),
            ),
            (Some("{{json .Image}}"), "\"<none>\"\n\"busybox\"\n"),
            (Some("raw"), "container_id: 1\nnames: web\n\ncontainer_id: 2\nnames: a-long-name\n\n"),
            (Some("text"), "text\ntext\n"),
        ] {
            assert_eq!(show(format, false, &rows()).as_deref(), Ok(expected), "{format:?}");
            assert_eq!(show(format, true, &rows()).as_deref(), Ok("1\n2\n"), "{format:?} --quiet");
        }
        assert_eq!(show(None, false, &[]).as_deref(), Ok("CONTAINER ID   IMAGE     NAMES\n"));
        assert_eq!(show(Some("json"), false, &[]).as_deref(), Ok(""));
    }

    #[test]
    fn a_wrong_format_fails_before_rows_exist() {
        for (format, message) in [
            (
                "{{.Nope}}",
                "template parsing error: template: :1:2: executing \"\" at <.Nope>: can't evaluate field Nope in type *formatter.ContainerContext",
            ),
            (
                "table {{if .ID}}{{.Nope}}{{end}}",
                "template parsing error: template: :1:12: executing \"\" at <.Nope>: can't evaluate field Nope in type *formatter.ContainerContext",
            ),
            (
                "{{range split .ID \"\"}}{{$.No}}{{end}}",
                "template parsing error: template: :1:25: executing \"\" at <$.No>: can't evaluate field No in type *formatter.ContainerContext",
            ),
            ("{{.ID", "template parsing error: template: :1: unclosed action"),
            ("{{.ID | nope}}", "template parsing error: template: :1: function \"nope\" not defined"),
        ] {
            assert_eq!(show(Some(format), false, &[]), Err(message.to_string()));
        }
        let error = Format::parse(Some("{{.Nope}}"), false, LISTING).err().unwrap();
        assert_eq!(error.hints, ["the fields are .ID, .Names, .Image, .Current, .Label \"key\""]);
        assert_eq!(
            show(Some("{{range $x := split .Names \"-\"}}{{$x}};{{end}}"), false, &rows()).as_deref(),
            Ok("web;\na;long;name;\n")
        );
    }

    #[test]
    fn only_used_columns_are_asked_for() {
        for (format, quiet, names, id) in [
            (None, false, true, true),
            (None, true, false, true),
            (Some("json"), false, true, true),
            (Some("{{.ID}}"), false, false, true),
            (Some("{{json .}}"), false, true, true),
            (Some("{{with .ID}}{{.}}{{$.Names}}{{end}}"), false, true, true),
            (Some("{{range split .Names \",\"}}{{.}}{{end}}"), false, true, false),
        ] {
            let format = Format::parse(format, quiet, LISTING).unwrap();
            assert_eq!((format.uses("Names"), format.uses("ID")), (names, id));
        }
    }
}
