//! Makes a program of the host out of LLVM's text for Windows.
//!
//! Sizes and layouts are fixed in the text. What is left to choose is how functions are called: the
//! target says it. One thing is different then: on Linux whoever calls extends numbers of 8 and 16
//! bits to 32, and a callee written in another language relies on it; on Windows nobody does, so
//! the text does not ask for it. The kernel's numbers of this size are never negative.

/// The target that the text is made for.
pub(crate) const TARGET: &str = "x86_64-unknown-linux-gnu";
const TRIPLE: &str = "target triple = ";
const LAYOUT: &str = "target datalayout = ";

/// The same program for the host.
pub(crate) fn retarget(text: &str) -> String {
    let lines = text.lines().map(|line| {
        if line.starts_with(TRIPLE) {
            format!("{TRIPLE}\"{TARGET}\"\n")
        } else if let Some(layout) = line.strip_prefix(LAYOUT) {
            // Symbols are named as ELF does.
            format!("{LAYOUT}{}\n", layout.replacen("-m:w-", "-m:e-", 1))
        } else {
            extend_small(line) + "\n"
        }
    });
    lines.collect()
}

/// Has calls, and the functions that are called, extend small numbers.
fn extend_small(line: &str) -> String {
    if line.starts_with("declare ") || line.contains(" call ") {
        return line
            .replace("i8 noundef", "i8 noundef zeroext")
            .replace("i16 noundef", "i16 noundef zeroext");
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::retarget;

    #[test]
    fn target_and_layout_become_the_hosts() {
        let text = "target datalayout = \"e-m:w-p270:32:32-S128\"\n\
                    target triple = \"x86_64-pc-windows-msvc19.33.0\"\n";
        assert_eq!(
            retarget(text),
            "target datalayout = \"e-m:e-p270:32:32-S128\"\n\
             target triple = \"x86_64-unknown-linux-gnu\"\n"
        );
    }

    #[test]
    fn small_arguments_are_extended_where_they_are_passed() {
        let text = "define dso_local i8 @f(i8 noundef %0) {\n\
                    %2 = call i8 @g(i8 noundef %0, i16 noundef 7, i32 noundef 1)\n\
                    }\n\
                    declare dllimport i8 @g(i8 noundef, i16 noundef, i32 noundef)\n";
        assert_eq!(
            retarget(text),
            "define dso_local i8 @f(i8 noundef %0) {\n\
             %2 = call i8 @g(i8 noundef zeroext %0, i16 noundef zeroext 7, i32 noundef 1)\n\
             }\n\
             declare dllimport i8 @g(i8 noundef zeroext, i16 noundef zeroext, i32 noundef)\n"
        );
    }
}
