//! `printf`: Go's format strings.

use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;

use super::print::{self, Spec};
use super::value::Val;

/// The first argument is the format, the others fill it in.
pub(super) fn sprintf(arguments: &[Val<'_>]) -> String {
    let (format, values) = match arguments.split_first() {
        Some((Val::Text(format), values)) => (&**format, values),
        _ => ("", arguments),
    };
    let mut printf =
        Printf { letters: format.chars().peekable(), values, next: 0, reordered: false, out: String::new() };
    printf.run();
    printf.out
}

/// Widths and precisions beyond this are refused, as Go does.
const MAX_WIDTH: i64 = 1_000_000;

struct Printf<'f, 'v, 'a> {
    letters: Peekable<Chars<'f>>,
    values: &'v [Val<'a>],
    next: usize,
    /// An explicit index was given: then values may stay unused.
    reordered: bool,
    out: String,
}

impl Printf<'_, '_, '_> {
    fn run(&mut self) {
        while let Some(letter) = self.letters.next() {
            if letter == '%' {
                self.directive();
            } else {
                self.out.push(letter);
            }
        }
        if self.reordered || self.next >= self.values.len() {
            return;
        }
        self.out.push_str("%!(EXTRA ");
        for (index, value) in self.values.iter().enumerate().skip(self.next) {
            if index > self.next {
                self.out.push_str(", ");
            }
            match value {
                Val::Absent | Val::Nil => self.out.push_str("<nil>"),
                _ => {
                    let _ = write!(self.out, "{}=", value.type_name());
                    print::write(&mut self.out, value, &Spec::of('v'), false);
                }
            }
        }
        self.out.push(')');
    }

    /// What follows a `%`.
    fn directive(&mut self) {
        let mut spec = Spec::of('v');
        while let Some(flag) = self.letters.next_if(|letter| "+-# 0".contains(*letter)) {
            match flag {
                '+' => spec.plus = true,
                '-' => spec.minus = true,
                '#' => spec.sharp = true,
                ' ' => spec.space = true,
                _ => spec.zero = true,
            }
        }
        let mut good = self.argument_index();
        match self.measure() {
            Measure::Number(width) => spec.width = Some(width),
            Measure::Negative(width) => (spec.width, spec.minus) = (Some(width), true),
            Measure::Bad => self.out.push_str("%!(BADWIDTH)"),
            Measure::None => {}
        }
        if self.letters.next_if_eq(&'.').is_some() {
            good &= self.argument_index();
            match self.measure() {
                Measure::Number(precision) => spec.precision = Some(precision),
                Measure::Bad => self.out.push_str("%!(BADPREC)"),
                Measure::Negative(_) => self.out.push_str("%!(BADPREC)"),
                Measure::None => spec.precision = Some(0),
            }
        }
        good &= self.argument_index();
        let Some(verb) = self.letters.next() else {
            self.out.push_str("%!(NOVERB)");
            return;
        };
        spec.verb = verb;
        if verb == 'v' {
            (spec.names, spec.source) = (spec.plus || spec.sharp, spec.sharp);
            (spec.plus, spec.sharp) = (false, false);
        }
        match self.values.get(self.next) {
            _ if verb == '%' => self.out.push('%'),
            _ if !good => drop(write!(self.out, "%!{verb}(BADINDEX)")),
            None => drop(write!(self.out, "%!{verb}(MISSING)")),
            Some(value) => {
                self.next += 1;
                match verb {
                    'T' => print::write(
                        &mut self.out,
                        &Val::text(value.type_name()),
                        &Spec { verb: 's', ..spec },
                        false,
                    ),
                    _ => print::write(&mut self.out, value, &spec, false),
                }
            }
        }
    }

    /// `[3]`: the next value is the third. Gives whether there is such a value.
    fn argument_index(&mut self) -> bool {
        if self.letters.next_if_eq(&'[').is_none() {
            return true;
        }
        self.reordered = true;
        let mut inside = String::new();
        while let Some(letter) = self.letters.next_if(|letter| *letter != ']') {
            inside.push(letter);
        }
        if self.letters.next().is_none() {
            return false;
        }
        match inside.parse::<usize>() {
            Ok(index) if (1..=self.values.len()).contains(&index) => {
                self.next = index - 1;
                true
            }
            _ => false,
        }
    }

    /// A width or a precision: digits, or `*` for the next value.
    fn measure(&mut self) -> Measure {
        if self.letters.next_if_eq(&'*').is_some() {
            let value = self.values.get(self.next);
            self.next += 1;
            return match value {
                Some(Val::Int(number)) if number.abs() <= MAX_WIDTH => {
                    let size = number.unsigned_abs() as usize;
                    if *number < 0 { Measure::Negative(size) } else { Measure::Number(size) }
                }
                _ => Measure::Bad,
            };
        }
        let mut number: Option<i64> = None;
        while let Some(digit) = self.letters.next_if(char::is_ascii_digit) {
            let digit = i64::from(digit.to_digit(10).unwrap_or(0));
            number = Some(number.unwrap_or(0).saturating_mul(10).saturating_add(digit));
        }
        match number {
            None => Measure::None,
            Some(number) if number <= MAX_WIDTH => Measure::Number(number as usize),
            Some(_) => Measure::Bad,
        }
    }
}

enum Measure {
    None,
    Number(usize),
    Negative(usize),
    Bad,
}
