//! Go's regular expressions, as far as people write them in `--filter name=`: literals, `.`, classes, groups,
//! alternatives, repetitions, anchors. Matched in time linear in pattern and text, whatever the pattern.

/// Longer ones are no name's pattern; repetitions are copied, so the program is bounded too.
const LONGEST: usize = 1000;
const MOST_STEPS: usize = 10_000;
const DEEPEST: usize = 50;

/// A pattern that was read.
#[derive(Debug)]
pub struct Pattern {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    /// One letter of these.
    One(Class),
    /// Go on at both.
    Either(usize, usize),
    Jump(usize),
    Start,
    End,
    Found,
}

/// Letters: ranges, or all but them.
#[derive(Debug, Clone, PartialEq)]
struct Class {
    ranges: Vec<(char, char)>,
    negated: bool,
}

impl Class {
    fn of(letter: char) -> Self {
        Self { ranges: vec![(letter, letter)], negated: false }
    }

    fn has(&self, letter: char) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&letter)) != self.negated
    }
}

#[derive(Debug, Clone)]
enum Node {
    Empty,
    One(Class),
    Start,
    End,
    Both(Box<Node>, Box<Node>),
    Either(Box<Node>, Box<Node>),
    /// At least, at most (None: without limit).
    Repeat(Box<Node>, usize, Option<usize>),
}

impl Pattern {
    /// None for what is no pattern, or has parts that are not known here: it matches nothing then, as a wrong one
    /// does with docker.
    pub fn parse(text: &str) -> Option<Self> {
        let letters: Vec<char> = text.chars().collect();
        if letters.len() > LONGEST {
            return None;
        }
        let mut reader = Reader { letters: &letters, at: 0, depth: 0 };
        let node = reader.alternatives()?;
        if reader.at < letters.len() {
            return None;
        }
        let mut steps = Vec::new();
        compile(&node, &mut steps)?;
        steps.push(Step::Found);
        Some(Self { steps })
    }

    /// Whether any part of `text` matches.
    pub fn is_in(&self, text: &str) -> bool {
        let letters: Vec<char> = text.chars().collect();
        let mut current: Vec<usize> = Vec::new();
        for at in 0..=letters.len() {
            let place = (at == 0, at == letters.len());
            let mut seen = vec![false; self.steps.len()];
            let mut reached = Vec::new();
            // A match may begin at every letter.
            for start in current.drain(..).chain([0]) {
                self.follow(start, place, &mut seen, &mut reached);
            }
            if reached.iter().any(|step| self.steps[*step] == Step::Found) {
                return true;
            }
            let Some(letter) = letters.get(at) else { break };
            current = reached
                .into_iter()
                .filter(|step| matches!(&self.steps[*step], Step::One(class) if class.has(*letter)))
                .map(|step| step + 1)
                .collect();
        }
        false
    }

    /// The steps that can be reached without a letter, each once.
    fn follow(&self, start: usize, place: (bool, bool), seen: &mut [bool], reached: &mut Vec<usize>) {
        let mut open = vec![start];
        while let Some(step) = open.pop() {
            if std::mem::replace(&mut seen[step], true) {
                continue;
            }
            match &self.steps[step] {
                Step::Jump(to) => open.push(*to),
                Step::Either(one, other) => open.extend([*other, *one]),
                Step::Start if place.0 => open.push(step + 1),
                Step::End if place.1 => open.push(step + 1),
                Step::Start | Step::End => {}
                Step::One(_) | Step::Found => reached.push(step),
            }
        }
    }
}

fn compile(node: &Node, steps: &mut Vec<Step>) -> Option<()> {
    if steps.len() > MOST_STEPS {
        return None;
    }
    match node {
        Node::Empty => {}
        Node::One(class) => steps.push(Step::One(class.clone())),
        Node::Start => steps.push(Step::Start),
        Node::End => steps.push(Step::End),
        Node::Both(one, other) => {
            compile(one, steps)?;
            compile(other, steps)?;
        }
        Node::Either(one, other) => {
            let split = steps.len();
            steps.push(Step::Found);
            compile(one, steps)?;
            let jump = steps.len();
            steps.push(Step::Found);
            steps[split] = Step::Either(split + 1, jump + 1);
            compile(other, steps)?;
            steps[jump] = Step::Jump(steps.len());
        }
        Node::Repeat(node, least, most) => {
            for _ in 0..*least {
                compile(node, steps)?;
            }
            match most {
                None => {
                    let split = steps.len();
                    steps.push(Step::Found);
                    compile(node, steps)?;
                    steps.push(Step::Jump(split));
                    steps[split] = Step::Either(split + 1, steps.len());
                }
                Some(most) => {
                    for _ in *least..*most {
                        let split = steps.len();
                        steps.push(Step::Found);
                        compile(node, steps)?;
                        steps[split] = Step::Either(split + 1, steps.len());
                    }
                }
            }
        }
    }
    Some(())
}

struct Reader<'a> {
    letters: &'a [char],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn take(&mut self, letter: char) -> bool {
        let found = self.peek() == Some(letter);
        self.at += usize::from(found);
        found
    }

    fn alternatives(&mut self) -> Option<Node> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return None;
        }
        let mut node = self.sequence()?;
        while self.take('|') {
            node = Node::Either(Box::new(node), Box::new(self.sequence()?));
        }
        self.depth -= 1;
        Some(node)
    }

    fn sequence(&mut self) -> Option<Node> {
        let mut node = Node::Empty;
        while self.peek().is_some_and(|letter| letter != '|' && letter != ')') {
            let next = self.repeated()?;
            node = match node {
                Node::Empty => next,
                node => Node::Both(Box::new(node), Box::new(next)),
            };
        }
        Some(node)
    }

    fn repeated(&mut self) -> Option<Node> {
        let node = self.atom()?;
        let (least, most) = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => match self.counts() {
                Some(counts) => counts,
                // As in Go, what is no count stands for itself.
                None => return Some(node),
            },
            _ => return Some(node),
        };
        self.at += 1;
        // Which match is found first does not matter here.
        self.take('?');
        let doubled = matches!(self.peek(), Some('*' | '+' | '?'));
        (!doubled).then(|| Node::Repeat(Box::new(node), least, most))
    }

    /// `{2}`, `{2,}`, `{2,5}`; stops at the closing brace.
    fn counts(&mut self) -> Option<(usize, Option<usize>)> {
        let rest = &self.letters[self.at + 1..];
        let end = rest.iter().position(|letter| *letter == '}')?;
        let text: String = rest[..end].iter().collect();
        let (least, most) = match text.split_once(',') {
            None => (text.parse().ok()?, Some(text.parse().ok()?)),
            Some((least, "")) => (least.parse().ok()?, None),
            Some((least, most)) => (least.parse().ok()?, Some(most.parse().ok()?)),
        };
        let sound = least <= 1000 && most.is_none_or(|most| least <= most && most <= 1000);
        sound.then(|| self.at += end + 1).map(|()| (least, most))
    }

    fn atom(&mut self) -> Option<Node> {
        let letter = self.peek()?;
        self.at += 1;
        Some(match letter {
            '^' => Node::Start,
            '$' => Node::End,
            '.' => Node::One(Class { ranges: vec![('\n', '\n')], negated: true }),
            '[' => Node::One(self.class()?),
            '(' => {
                if self.take('?') && !self.take(':') {
                    return None;
                }
                let node = self.alternatives()?;
                if !self.take(')') {
                    return None;
                }
                node
            }
            '*' | '+' | '?' => return None,
            '\\' => Node::One(self.escaped()?),
            letter => Node::One(Class::of(letter)),
        })
    }

    fn escaped(&mut self) -> Option<Class> {
        let letter = self.peek()?;
        self.at += 1;
        let digits = vec![('0', '9')];
        let words = vec![('0', '9'), ('A', 'Z'), ('a', 'z'), ('_', '_')];
        let spaces = vec![(' ', ' '), ('\t', '\n'), ('\x0c', '\r')];
        let class = |ranges, negated| Some(Class { ranges, negated });
        match letter {
            'd' => class(digits, false),
            'D' => class(digits, true),
            'w' => class(words, false),
            'W' => class(words, true),
            's' => class(spaces, false),
            'S' => class(spaces, true),
            letter if letter.is_ascii_alphanumeric() => None,
            letter => Some(Class::of(letter)),
        }
    }

    fn class(&mut self) -> Option<Class> {
        let negated = self.take('^');
        let mut ranges = Vec::new();
        // A bracket that comes first is one of the letters.
        while ranges.is_empty() || self.peek() != Some(']') {
            let mut letter = self.peek()?;
            self.at += 1;
            if letter == '\\' {
                let escaped = self.escaped()?;
                match escaped.ranges[..] {
                    [(one, same)] if one == same => letter = one,
                    _ if escaped.negated => return None,
                    _ => {
                        ranges.extend(escaped.ranges);
                        continue;
                    }
                }
            }
            let mut last = letter;
            if self.peek() == Some('-') && self.letters.get(self.at + 1).is_some_and(|next| *next != ']') {
                last = *self.letters.get(self.at + 1)?;
                self.at += 2;
                if last == '\\' || last < letter {
                    return None;
                }
            }
            ranges.push((letter, last));
        }
        self.at += 1;
        Some(Class { ranges, negated })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_gos_do() {
        for (pattern, text, expected) in [
            ("", "web", true),
            ("web", "my-web-1", true),
            ("^web$", "web1", false),
            ("^/?web$", "web", true),
            ("^/web$", "/web", true),
            ("web-[0-9]+", "web-12", true),
            ("^web-[0-9]+$", "web-1a", false),
            ("web|db", "my-db", true),
            ("^(web|db)$", "dbx", false),
            ("^(?:web|db)_\\d{2,3}$", "db_12", true),
            ("^a{2}$", "aaa", false),
            ("^a{2,}$", "aaa", true),
            ("a.c", "abc", true),
            ("a\\.c", "abc", false),
            ("^[^a-c]+$", "xyz", true),
            ("^[^a-c]+$", "xbz", false),
            ("^[]x]$", "]", true),
            ("^[\\w.-]+$", "a_b.c-d", true),
            ("x*", "", true),
            ("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false),
            ("a{,2}", "a{,2}", true),
            ("é+", "éé", true),
        ] {
            let found = Pattern::parse(pattern).is_some_and(|parsed| parsed.is_in(text));
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_told() {
        for text in ["(", ")", "[", "*a", "a**", "\\", "[b-a]", "(?i)a", "a{2000}", "\\b"] {
            let parsed = Pattern::parse(text);
            assert!(parsed.is_none() || text == "a{2000}", "{text}: {parsed:?}");
        }
        assert!(Pattern::parse(&"(".repeat(900)).is_none());
        assert!(Pattern::parse(&format!("{}a{}", "(".repeat(40), "){1000}".repeat(40))).is_none());
    }
}
