//! What Go's types say about JSON and JSON does not: structs apart from maps, and fields that were left out.

/// The type of a JSON value.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// What it is made of.
    pub kind: ShapeKind,
    /// Absent is nil, rather than the type's zero value.
    pub pointer: bool,
    /// Go's name of the type, for messages.
    pub name: String,
}

/// What a [`Shape`] is made of.
#[derive(Debug, Clone, Default)]
pub enum ShapeKind {
    /// Whatever the value says: objects are maps.
    #[default]
    Any,
    /// `true` or `false`.
    Bool,
    /// A whole number.
    Int,
    /// A number with a fraction.
    Float,
    /// A string.
    Text,
    /// A Go duration, in nanoseconds.
    Duration,
    /// A Go time, written in RFC 3339.
    Time,
    /// Items of one shape.
    List(Box<Shape>),
    /// Names to values of one shape.
    Map(Box<Shape>),
    /// Named fields; there are no others.
    Struct(Vec<Field>),
}

/// A field of a struct.
#[derive(Debug, Clone)]
pub struct Field {
    /// The name in templates.
    pub name: String,
    /// The name in JSON.
    pub json: String,
    /// The type of its value.
    pub shape: Shape,
}

/// The shape of values of which nothing is known.
pub(super) static ANY: Shape = Shape { kind: ShapeKind::Any, pointer: false, name: String::new() };

impl Shape {
    /// The field that templates call `name`, when this is a struct that has it.
    pub fn field(&self, name: &str) -> Option<&Field> {
        match &self.kind {
            ShapeKind::Struct(fields) => fields.iter().find(|field| field.name == name),
            _ => None,
        }
    }

    /// Whether this is a struct.
    pub(super) fn is_struct(&self) -> bool {
        matches!(self.kind, ShapeKind::Struct(_))
    }

    /// A struct of Go's type `name`, whose fields can hold anything and are called alike in templates and JSON.
    pub fn record<'n>(name: &str, fields: impl IntoIterator<Item = &'n str>) -> Self {
        let field = |field: &str| Field { name: field.into(), json: field.into(), shape: Self::default() };
        let kind = ShapeKind::Struct(fields.into_iter().map(field).collect());
        Self { kind, pointer: name.starts_with('*'), name: name.into() }
    }

    /// A struct from its rows of (JSON path, Go type, Go name when it differs), parents before children. A path's
    /// steps are separated by dots; `[]` and `{}` behind a step mean the items of a list and the values of a map.
    pub fn from_paths<'r>(name: &str, rows: impl IntoIterator<Item = (&'r str, &'r str, &'r str)>) -> Self {
        let mut shape =
            Self { kind: ShapeKind::Struct(Vec::new()), pointer: name.starts_with('*'), name: name.into() };
        for (path, go_type, go_name) in rows {
            let (parent, json) = path.rsplit_once('.').unwrap_or(("", path));
            let field = Field {
                name: if go_name.is_empty() { json.into() } else { go_name.into() },
                json: json.into(),
                shape: Self::of_type(go_type),
            };
            if let Some(parent) = shape.descend(parent) {
                parent.adopt(field);
            }
        }
        shape
    }

    /// The shape at `path`.
    fn descend(&mut self, path: &str) -> Option<&mut Self> {
        let mut shape = self;
        for step in path.split('.').filter(|step| !step.is_empty()) {
            let name = step.find(['[', '{']).map_or(step, |end| &step[..end]);
            let ShapeKind::Struct(fields) = &mut shape.kind else { return None };
            shape = &mut fields.iter_mut().find(|field| field.json == name)?.shape;
            for _ in 0..(step.len() - name.len()) / 2 {
                let (ShapeKind::List(inner) | ShapeKind::Map(inner)) = &mut shape.kind else { return None };
                shape = inner;
            }
        }
        Some(shape)
    }

    /// Adds a field: what has fields is a struct, whatever its type's name looked like.
    fn adopt(&mut self, field: Field) {
        match &mut self.kind {
            ShapeKind::Struct(fields) => fields.push(field),
            kind => *kind = ShapeKind::Struct(vec![field]),
        }
    }

    /// The shape of a Go type by its name alone.
    fn of_type(go_type: &str) -> Self {
        let (pointer, bare) = match go_type.strip_prefix('*') {
            Some(bare) => (true, bare),
            None => (false, go_type),
        };
        let kind = match bare {
            "bool" => ShapeKind::Bool,
            "int" | "int8" | "int16" | "int32" | "int64" | "uint" | "uint8" | "uint16" | "uint32"
            | "uint64" => ShapeKind::Int,
            "float32" | "float64" => ShapeKind::Float,
            "time.Duration" => ShapeKind::Duration,
            "time.Time" => ShapeKind::Time,
            // In JSON these are base64, a string, and anything.
            "[]uint8" | "[]byte" => ShapeKind::Text,
            "interface {}" | "any" => ShapeKind::Any,
            _ if bare.starts_with("map[") => {
                let key = bare.find(']').unwrap_or(bare.len() - 1);
                ShapeKind::Map(Box::new(Self::of_type(&bare[key + 1..])))
            }
            _ if bare.starts_with('[') => {
                let length = bare.find(']').unwrap_or(bare.len() - 1);
                ShapeKind::List(Box::new(Self::of_type(&bare[length + 1..])))
            }
            "struct {}" => ShapeKind::Struct(Vec::new()),
            // A named type without fields is a string in JSON (digest.Digest, netip.Addr, container.NetworkMode).
            _ => ShapeKind::Text,
        };
        Self { kind, pointer, name: go_type.into() }
    }
}
