//! A list that lies in somebody's memory borrows it.
//!
//! error: E0515

pub fn read<'a>(given: &'a wsk::ControlData) -> wsk::ControlMessages<'a> {
    #[cfg(misuse)]
    {
        let own = wsk::ControlData::new();
        return own.messages();
    }
    given.messages()
}
