//! Commands and step names as text: what an error message shows, and what a log file is called.
//!
//! Used by `process` alone.

use std::ffi::OsStr;
use std::process::Command;

/// The command as one would type it, with the variables it sets.
pub fn command_line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| format!("{}={}", name.display(), quote(value)))
    });
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(quote);
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quote(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// A file name made of a step's name.
pub fn file_name(what: &str) -> String {
    let words = what
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::{file_name, quote};

    #[test]
    fn quote_word_with_blank_is_one_word_to_a_shell() {
        assert_eq!(quote("a b'c".as_ref()), r"'a b'\''c'");
        assert_eq!(quote("--a=/b".as_ref()), "--a=/b");
    }

    #[test]
    fn file_name_of_a_step_has_no_separators() {
        assert_eq!(
            file_name("build wsk_echo.sys (wine)"),
            "build-wsk-echo-sys-wine"
        );
    }
}
