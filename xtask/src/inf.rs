//! Checks an .inx against what Windows asks of a primitive driver: installed without a device, run
//! from the driver store, touching nothing outside its own service.
//!
//! `InfVerif` does this on Windows and knows more; here are the rules that a slip breaks most
//! easily. Reads sections and `key = value` lines, nothing else of the language.

use std::collections::BTreeMap;

/// One section: its lines as key and value. A line without `=` is a key alone.
type Section<'a> = Vec<(&'a str, &'a str)>;

/// The rules that `text`, the .inx of `image`, breaks.
pub fn check(text: &str, image: &str) -> Vec<String> {
    let inf = Inf {
        sections: sections(text),
    };
    let mut problems = inf.wrong_values(image);
    problems.extend(inf.forbidden_sections());
    problems.extend(inf.other_directories());
    problems.extend(inf.foreign_registry_keys());
    problems.extend(inf.undefined_strings());
    problems
}

struct Inf<'a> {
    sections: BTreeMap<&'a str, Section<'a>>,
}

impl Inf<'_> {
    fn value(&self, section: &str, key: &str) -> Option<&str> {
        let lines = self.sections.get(section)?;
        lines
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }

    fn wrong_values(&self, image: &str) -> Vec<String> {
        let service = format!("{image}.Service");
        let wanted = [
            ("Version", "Signature", "\"$WINDOWS NT$\"".to_owned()),
            ("Version", "PnpLockdown", "1".to_owned()),
            ("Version", "CatalogFile", format!("{image}.cat")),
            ("SourceDisksFiles", &format!("{image}.sys"), "1".to_owned()),
            ("DestinationDirs", "DefaultDestDir", "13".to_owned()),
            (
                "DefaultInstall.NT$ARCH$",
                "CopyFiles",
                format!("{image}.Files"),
            ),
            (
                &format!("{image}.Files"),
                &format!("{image}.sys"),
                String::new(),
            ),
            (
                "DefaultInstall.NT$ARCH$.Services",
                "AddService",
                format!("{image}, , {service}"),
            ),
            (&service, "ServiceType", "1".to_owned()),
            (&service, "StartType", "3".to_owned()),
            (&service, "ErrorControl", "1".to_owned()),
            (&service, "ServiceBinary", format!("%13%\\{image}.sys")),
        ];
        let wrong = wanted
            .iter()
            .filter(|(section, key, value)| self.value(section, key) != Some(value.as_str()));
        let mut problems: Vec<_> = wrong
            .map(|(section, key, value)| format!("[{section}] {key} is not {value:?}"))
            .collect();
        for key in ["Class", "ClassGuid", "Provider", "DriverVer"] {
            if self.value("Version", key).is_none() {
                problems.push(format!("[Version] {key} is missing"));
            }
        }
        problems
    }

    /// Sections of other kinds of packages, and the undecorated ones, which serve no architecture.
    fn forbidden_sections(&self) -> Vec<String> {
        let forbidden = |name: &&&str| {
            let name = name.to_ascii_lowercase();
            name == "manufacturer" || name.starts_with("default") && !name.contains(".nt$arch$")
        };
        self.sections
            .keys()
            .filter(forbidden)
            .map(|name| format!("[{name}] must not be"))
            .collect()
    }

    /// Files belong into the driver store, directory 13, alone.
    fn other_directories(&self) -> Vec<String> {
        let lines = self.sections.get("DestinationDirs").into_iter().flatten();
        lines
            .filter(|(_, value)| *value != "13")
            .map(|(key, value)| format!("[DestinationDirs] {key} = {value} is outside the store"))
            .collect()
    }

    /// Registry lines start with their root; only HKR, the service's own key, is isolated.
    fn foreign_registry_keys(&self) -> Vec<String> {
        let foreign = |key: &str| {
            let root = key.split(',').next().unwrap_or_default().trim();
            ["HKLM", "HKCR", "HKCU", "HKU"]
                .iter()
                .any(|other| root.eq_ignore_ascii_case(other))
        };
        let lines = self.sections.iter().flat_map(|(section, lines)| {
            lines
                .iter()
                .filter(|(key, _)| foreign(key))
                .map(move |(key, _)| (section, key))
        });
        lines
            .map(|(section, key)| format!("[{section}] {key} is outside HKR"))
            .collect()
    }

    fn undefined_strings(&self) -> Vec<String> {
        let lines = self
            .sections
            .iter()
            .filter(|(section, _)| **section != "Strings");
        let values = lines.flat_map(|(_, lines)| lines.iter().map(|(_, value)| *value));
        // Between the percent signs; a number is a directory.
        let names = values.flat_map(|value| value.split('%').skip(1).step_by(2));
        names
            .filter(|name| name.parse::<u32>().is_err() && self.value("Strings", name).is_none())
            .map(|name| format!("%{name}% is not defined in [Strings]"))
            .collect()
    }
}

fn sections(text: &str) -> BTreeMap<&str, Section<'_>> {
    let mut sections: BTreeMap<_, Section<'_>> = BTreeMap::new();
    let mut current = "";
    for line in text.lines() {
        let line = line.split(';').next().unwrap_or_default().trim();
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            current = name;
            sections.entry(current).or_default();
        } else if !line.is_empty() {
            let (key, value) = line.split_once('=').unwrap_or((line, ""));
            sections
                .entry(current)
                .or_default()
                .push((key.trim(), value.trim()));
        }
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::check;

    const GOOD: &str = r#"
        [Version]
        Signature = "$WINDOWS NT$" ; a comment
        Class = System
        ClassGuid = {4d36e97d-e325-11ce-bfc1-08002be10318}
        Provider = %Who%
        DriverVer =
        CatalogFile = d.cat
        PnpLockdown = 1
        [SourceDisksFiles]
        d.sys = 1
        [DestinationDirs]
        DefaultDestDir = 13
        [DefaultInstall.NT$ARCH$]
        CopyFiles = d.Files
        [d.Files]
        d.sys
        [DefaultInstall.NT$ARCH$.Services]
        AddService = d, , d.Service
        [d.Service]
        ServiceType = 1
        StartType = 3
        ErrorControl = 1
        ServiceBinary = %13%\d.sys
        AddReg = d.Parameters
        [d.Parameters]
        HKR, Parameters, Port, 0x00010001, 1
        [Strings]
        Who = "somebody"
    "#;

    #[track_caller]
    fn breaks(old: &str, new: &str, says: &str) {
        assert_eq!(GOOD.matches(old).count(), 1, "{old}");
        let problems = check(&GOOD.replace(old, new), "d");
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].contains(says), "{problems:?}");
    }

    #[test]
    fn inf_good_breaks_no_rule() {
        assert_eq!(check(GOOD, "d"), Vec::<String>::new());
    }

    #[test]
    fn inf_of_another_image_breaks_rules() {
        assert!(!check(GOOD, "e").is_empty());
    }

    #[test]
    fn inf_without_lockdown_is_refused() {
        breaks("PnpLockdown = 1", "PnpLockdown = 0", "PnpLockdown");
    }

    #[test]
    fn inf_without_provider_is_refused() {
        breaks("Provider = %Who%", "", "Provider is missing");
    }

    #[test]
    fn inf_started_at_boot_is_refused() {
        breaks("StartType = 3", "StartType = 0", "StartType");
    }

    #[test]
    fn inf_file_outside_the_store_is_refused() {
        breaks(
            "DefaultDestDir = 13",
            "DefaultDestDir = 13\nd.Files = 12",
            "outside the store",
        );
    }

    #[test]
    fn inf_undecorated_section_is_refused() {
        breaks(
            "[d.Files]",
            "[DefaultUninstall]\n[d.Files]",
            "DefaultUninstall",
        );
    }

    #[test]
    fn inf_registry_outside_the_service_is_refused() {
        breaks("HKR, Parameters", "HKLM, Parameters", "outside HKR");
    }

    #[test]
    fn inf_undefined_string_is_refused() {
        breaks("Provider = %Who%", "Provider = %Nobody%", "Nobody");
    }
}
