//! The facts test: every published fact about the interface (tests/data/wsk-facts.json) against the
//! bindings.
//!
//! Nothing is left out: a fact whose subject the bindings lack is an error, and so is one that
//! cannot be compared. The headers of the kit are compared as well, by the C compiler (`headers`),
//! for x64 and for arm64.

mod bindings;
mod compare;
mod data;
mod headers;
mod shape;
mod signatures;
mod structures;
mod syntax;
mod values;

use std::io::{self, Write};

use compare::{Report, compare};
use data::Facts;

#[test]
fn bindings_compared_with_the_facts_agree() {
    let report = compare(&Facts::load(), &values::model());
    for (kind, count) in &report.compared {
        tell(&format!("{count:5} {kind}"));
    }
    let all: usize = report.compared.values().sum();
    tell(&format!("{all:5} in all"));
    assert!(report.wrong.is_empty(), "{}", report.wrong.join("\n"));
}

/// Says how much was compared, also in a run that passes: the test runner does not hold it back.
fn tell(line: &str) {
    writeln!(io::stderr(), "facts: {line}").expect("standard error is open");
}

/// Changes one thing in the facts and tells what the comparison finds wrong with it.
fn wrong_after(change: impl FnOnce(&mut Facts)) -> Vec<String> {
    let mut facts = Facts::load();
    change(&mut facts);
    let Report { wrong, .. } = compare(&facts, &values::model());
    wrong
}

fn structure<'a>(facts: &'a mut Facts, name: &str) -> &'a mut data::Struct {
    facts
        .structs
        .iter_mut()
        .find(|it| it.name == name)
        .expect("a fact")
}

#[test]
fn comparison_of_a_wrong_number_reports_it() {
    let wrong = wrong_after(|facts| facts.constants[0].value = 9.into());
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}

#[test]
fn comparison_of_an_unknown_name_reports_it() {
    let wrong = wrong_after(|facts| {
        facts.constants[0].name = "WSK_NO_SUCH_CONSTANT".into();
        facts.functions[0].name = "WskNoSuchFunction".into();
        facts.callbacks[0].name = "PFN_WSK_NO_SUCH_CALLBACK".into();
        facts.guids[0].name = "NPI_NO_SUCH_ID".into();
        structure(facts, "WSK_TRANSPORT").name = "WSK_NO_SUCH_STRUCTURE".into();
        structure(facts, "WSK_BUF").fields[0].name = Some("NoSuchMember".into());
    });
    let subjects = [
        "WSK_NO_SUCH_CONSTANT",
        "WskNoSuchFunction",
        "PFN_WSK_NO_SUCH_CALLBACK",
        "NPI_NO_SUCH_ID",
        "WSK_NO_SUCH_STRUCTURE",
        "NoSuchMember",
    ];
    for subject in subjects {
        assert!(
            wrong.iter().any(|line| line.contains(subject)),
            "{subject}: {wrong:?}"
        );
    }
}

#[test]
fn comparison_of_a_wrong_layout_reports_it() {
    let wrong = wrong_after(|facts| {
        let buffer = structure(facts, "WSK_BUF");
        buffer.size64 += 8;
        buffer.fields[1].offset64 += 4;
        buffer.fields[2].size64 = 4;
    });
    assert_eq!(wrong.len(), 3, "{wrong:?}");
}

#[test]
fn comparison_of_swapped_slots_reports_both() {
    let wrong = wrong_after(|facts| {
        let table = structure(facts, "WSK_PROVIDER_CONNECTION_DISPATCH");
        let (send, receive) = (table.fields[5].offset64, table.fields[6].offset64);
        table.fields[5].offset64 = receive;
        table.fields[6].offset64 = send;
    });
    assert_eq!(wrong.len(), 2, "{wrong:?}");
}

#[test]
fn comparison_of_wrong_constness_reports_it() {
    let wrong = wrong_after(|facts| {
        let socket = facts
            .callbacks
            .iter_mut()
            .find(|it| it.name == "PFN_WSK_SOCKET");
        socket.expect("a fact").params[6].ty = "VOID *".into();
    });
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}

#[test]
fn comparison_of_a_missing_parameter_reports_it() {
    let wrong = wrong_after(|facts| {
        let close = facts
            .callbacks
            .iter_mut()
            .find(|it| it.name == "PFN_WSK_CLOSE_SOCKET");
        close.expect("a fact").params.pop();
    });
    assert_eq!(wrong.len(), 1, "{wrong:?}");
}
