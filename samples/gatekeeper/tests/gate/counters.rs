//! The device that programs ask: what it tells, whom it answers, and who may open it.

use wdk_sys::{
    STATUS_BUFFER_TOO_SMALL, STATUS_INVALID_DEVICE_REQUEST, STATUS_OBJECT_NAME_NOT_FOUND,
};
use wsk_gate::interface::{COUNTERS_LENGTH, READ_COUNTERS};

use super::{
    DEVICE, SCHEDULES, alone, connect, counters, end, host, is_served, last_line, load, unload,
};

#[test]
fn counters_tell_what_was_served() {
    let _alone = alone();
    wsk_sim::seeds(SCHEDULES, |sim| {
        let driver = load(sim);
        assert_eq!(counters(sim), [0; 8]);
        for size in [1, 10_000] {
            let client = connect(sim, host(1)).expect("everybody may");
            is_served(&client, &vec![7; size]);
            end(&client);
        }
        assert_eq!(counters(sim), [2, 2, 0, 0, 0, 0, 2, 10_001]);
        unload(driver, sim);
        assert_eq!(
            last_line(sim),
            "wsk_gate: stopped: inspected=2 accepted=2 rejected_by_rule=0 rejected_by_rate=0 \
             pended=0 aborted=0 served=2 bytes=10001 operations=0 buffers=0 sockets=0"
        );
    });
}

#[test]
fn device_refuses_what_it_does_not_know_and_short_buffers() {
    let _alone = alone();
    wsk_sim::run(|sim| {
        let driver = load(sim);
        let device = sim.open_device(DEVICE).expect("the device is there");
        let mut buffer = [0xEE; COUNTERS_LENGTH + 8];
        let short = device.control(READ_COUNTERS, &mut buffer[..COUNTERS_LENGTH - 1], 0);
        assert_eq!(short, Err(STATUS_BUFFER_TOO_SMALL));
        let unknown = device.control(READ_COUNTERS + 4, &mut buffer, 0);
        assert_eq!(unknown, Err(STATUS_INVALID_DEVICE_REQUEST));
        assert_eq!(device.read(&mut buffer), Err(STATUS_INVALID_DEVICE_REQUEST));
        assert_eq!(buffer, [0xEE; COUNTERS_LENGTH + 8], "nothing was written");
        let length = device.control(READ_COUNTERS, &mut buffer, 0);
        assert_eq!(length, Ok(COUNTERS_LENGTH));
        assert_eq!(buffer[COUNTERS_LENGTH..], [0xEE; 8]);
        device.close().expect("closed");
        unload(driver, sim);
        let gone = sim.open_device(DEVICE).err();
        assert_eq!(gone, Some(STATUS_OBJECT_NAME_NOT_FOUND));
    });
}

/// The entries of an access control list: type, access mask, subauthorities of the NT authority.
fn entries(list: &[u8]) -> Vec<(u8, u32, Vec<u32>)> {
    let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
    let mut rest = &list[8..];
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let (entry, after) = rest.split_at(usize::from(u16::from_le_bytes([rest[2], rest[3]])));
        assert_eq!(entry[8], 1, "the revision of a SID");
        assert_eq!(entry[10..16], [0, 0, 0, 0, 0, 5], "the NT authority");
        let subauthorities = entry[16..].chunks(4).map(word).collect::<Vec<_>>();
        assert_eq!(subauthorities.len(), usize::from(entry[9]));
        entries.push((entry[0], word(&entry[4..8]), subauthorities));
        rest = after;
    }
    assert_eq!(entries.len(), usize::from(list[4]));
    entries
}

#[test]
fn device_may_be_read_by_the_system_and_administrators_only() {
    const ALLOW: u8 = 0;
    const FILE_GENERIC_READ: u32 = 0x0012_0089;
    let _alone = alone();
    wsk_sim::run(|sim| {
        let driver = load(sim);
        let list = sim.device_access(DEVICE).expect("it is restricted");
        let system = (ALLOW, FILE_GENERIC_READ, vec![18]);
        let administrators = (ALLOW, FILE_GENERIC_READ, vec![32, 544]);
        assert_eq!(entries(&list), [system, administrators]);
        unload(driver, sim);
    });
}
