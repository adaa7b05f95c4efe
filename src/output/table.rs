//! Columns as docker aligns them: Go's tabwriter with a minimal width of 10 and 3 spaces between.

use std::io::Write;

use tabwriter::TabWriter;

/// Aligns the tab-separated cells of `text`, as docker's lists are.
pub fn align(text: &str) -> String {
    aligned(text, 10, 3)
}

/// Aligns the tab-separated cells of `text` into columns of at least `width` characters, `padding` spaces of
/// which at least separate them from the next. What follows the last tab of a line is not padded.
pub fn aligned(text: &str, width: usize, padding: usize) -> String {
    // Go's minimal width includes the padding, the crate's does not.
    let mut writer = TabWriter::new(Vec::new()).minwidth(width.saturating_sub(padding)).padding(padding);
    // A vector takes every write.
    if writer.write_all(text.as_bytes()).is_err() {
        return text.to_owned();
    }
    let bytes = writer.into_inner().unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_dockers() {
        assert_eq!(
            align("CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tPORTS\tNAMES\n"),
            "CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
        );
        assert_eq!(
            align(concat!(
                "CONTAINER ID\tIMAGE\tCOMMAND\tCREATED\tSTATUS\tPORTS\tNAMES\n",
                "0e1fb9a3a5b4\tbusybox\t\"sleep 1000\"\t3 seconds ago\tUp 2 seconds\t\tjolly\n",
            )),
            concat!(
                "CONTAINER ID   IMAGE     COMMAND        CREATED         STATUS         PORTS     NAMES\n",
                "0e1fb9a3a5b4   busybox   \"sleep 1000\"   3 seconds ago   Up 2 seconds             jolly\n",
            )
        );
        assert_eq!(align("DRIVER\tVOLUME NAME\nlocal\t\n"), "DRIVER    VOLUME NAME\nlocal     \n");
    }

    #[test]
    fn odd_lines_are_kept() {
        assert_eq!(align(""), "");
        assert_eq!(align("one\ntwo\n"), "one\ntwo\n");
        assert_eq!(align("a\tb\n\nlonger than ten\tb\n"), "a         b\n\nlonger than ten   b\n");
        assert_eq!(align("a\tb\tc\nx\ty\n"), "a         b         c\nx         y\n");
        assert_eq!(align("日本\tb\n"), "日本      b\n");
        assert_eq!(aligned("a\tb\n", 1, 1), "a b\n");
    }
}
