//! `cargo xtask api-coverage`: every function, slot, event, callback, option, control operation
//! and flag of the file of facts has a safe item that wraps it and a test that exercises it, or a
//! reason why not.
//!
//! `facts` says what there is to cover, `map` what covers it; `check` compares the map with the
//! sources, as far as `library` and `tests_of` understand them, and with what the tests have
//! `reached` when they ran. The table is printed, and written to `target/report/api.json`.

mod check;
mod facts;
mod library;
mod map;
mod reached;
mod statements;
mod tests_of;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::paths;
use crate::tidy::sources;
use check::{Checked, Evidence, State};
use library::Library;
use reached::Reached;
use tests_of::Tests;

/// Options of `cargo xtask api-coverage`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Print every entry, also those that are covered
    #[arg(long)]
    all: bool,
    /// Also check what the tests have reached when they ran with `WSK_SIM_REACHED=DIRECTORY`
    #[arg(long, value_name = "DIRECTORY")]
    reached: Option<PathBuf>,
}

/// `cargo xtask api-coverage`.
pub fn run(args: &Args) -> Result<()> {
    let sources = sources()?;
    let find = |path: &str| {
        let found = sources.iter().find(|source| source.path == path);
        found.with_context(|| format!("{path} is missing: restore it"))
    };
    let map = map::read(&find(map::PATH)?.text)?;
    let facts = facts::read(&find(facts::PATH)?.text, &map.others)?;
    let reached = args.reached.clone().map(Reached::new);
    let evidence = Evidence {
        library: &Library::read(&sources)?,
        tests: &Tests::new(&sources),
        reached: reached.as_ref(),
    };
    let all = check::check(&facts, &map, &evidence)?;
    write(&all)?;
    let unknown = check::unknown(&facts, &map);
    for name in &unknown {
        println!("{name}: UNKNOWN: {} has no such fact", facts::PATH);
    }
    print(&all, args.all);
    let wrong = all
        .iter()
        .filter(|it| matches!(it.state, State::Wrong { .. }));
    let problems = wrong.count() + unknown.len();
    if problems > 0 {
        bail!(
            "the library does not cover {problems} facts\n  what to do: name the item and the \
             tests in {}, or, for what is marked, say there why there are none",
            map::PATH
        );
    }
    Ok(())
}

/// Writes `target/report/api.json`.
fn write(all: &[Checked]) -> Result<()> {
    let path = paths::report().join("api.json");
    fs::create_dir_all(paths::report())
        .and_then(|()| fs::write(&path, serde_json::to_string_pretty(all)?))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// Prints what is not covered, or everything, and how much there is of each kind.
fn print(all: &[Checked], everything: bool) {
    let mut counts = BTreeMap::<_, [usize; 3]>::new();
    for Checked {
        kind,
        fact,
        mark,
        state,
    } in all
    {
        let (column, text) = match state {
            State::Covered { item, tests, .. } => (0, format!("{item}; {}", tests.join(", "))),
            State::SameAs { fact } => (0, format!("the same as {fact}")),
            State::Reason { reason } => {
                let mark = mark.map_or_else(String::new, |mark| mark.to_string());
                (1, format!("not: {mark}: {reason}"))
            }
            State::Wrong { problem } => (2, format!("MISSING: {problem}")),
        };
        counts.entry(*kind).or_default()[column] += 1;
        if everything || column > 0 {
            println!("{fact}: {text}");
        }
    }
    for (kind, [covered, reasons, wrong]) in counts {
        let number = covered + reasons + wrong;
        println!(
            "{number:>4} {kind:<20} {covered:>4} wrapped and tested, {reasons:>3} with a reason, \
             {wrong:>3} missing"
        );
    }
}
