//! Ancillary data on the way to C and back, and from bytes that mean harm.

extern crate std;

use core::net::IpAddr;
use std::vec::Vec;

use proptest::{collection::vec, option, prelude::*, test_runner::RngSeed};
use wsk_sys::{
    IN_PKTINFO, IN6_PKTINFO, IP_ECN, IP_PKTINFO, IP_TOS, IP_TTL, IPV6_HOPLIMIT, IPV6_PKTINFO,
};

use super::{
    Ancillary, CAPACITY, ControlData, ControlMessage, ControlMessages, Ecn, PacketInfo, V4, V6,
};
use crate::{addr::AddressFamily, status::ErrorKind};

const _: () = {
    assert!(size_of::<IN_PKTINFO>() == 8 && size_of::<IN6_PKTINFO>() == 20);
    assert!(core::mem::offset_of!(IN_PKTINFO, ipi_ifindex) == 4);
    assert!(core::mem::offset_of!(IN6_PKTINFO, ipi6_ifindex) == 16);
};

fn family() -> impl Strategy<Value = AddressFamily> {
    prop_oneof![Just(AddressFamily::Inet), Just(AddressFamily::Inet6)]
}

fn address(family: AddressFamily) -> BoxedStrategy<IpAddr> {
    match family {
        AddressFamily::Inet => any::<[u8; 4]>().prop_map(IpAddr::from).boxed(),
        AddressFamily::Inet6 => any::<[u8; 16]>().prop_map(IpAddr::from).boxed(),
    }
}

fn ancillary(family: AddressFamily) -> impl Strategy<Value = Ancillary> {
    let packet_info = (address(family), any::<u32>())
        .prop_map(|(address, interface)| PacketInfo { address, interface });
    let ecn = (0..4_u8).prop_map(|bits| Ecn::from_bits(bits).expect("two bits"));
    let numbers = (option::of(any::<u8>()), option::of(any::<u8>()));
    (option::of(packet_info), numbers, option::of(ecn)).prop_map(
        |(packet_info, (hop_limit, traffic_class), ecn)| Ancillary {
            packet_info,
            hop_limit,
            traffic_class,
            ecn,
        },
    )
}

/// The same cases in each run, and no file of failures.
fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2000,
        rng_seed: RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn ancillary_comes_back_as_it_went(
        (family, sent) in family().prop_flat_map(|family| (Just(family), ancillary(family))),
    ) {
        let control = ControlData::encode(family, &sent).expect("it fits");
        prop_assert_eq!(control.ancillary(), sent);
        let (extra, length) = control.to_raw();
        let back = ControlData::from_raw(&extra, length);
        prop_assert_eq!(back.as_bytes(), control.as_bytes());
    }

    #[test]
    fn bytes_that_mean_harm_give_messages_within_them(bytes in vec(any::<u8>(), 0..200)) {
        check_bounds(&bytes);
    }

    /// As above, with lengths that are almost right.
    #[test]
    fn lengths_that_lie_give_messages_within_the_bytes(
        messages in vec((0..40_u64, 0..64_usize, any::<bool>()), 0..6),
        cut in 0..16_usize,
    ) {
        let mut bytes = Vec::new();
        for (length, data, huge) in messages {
            let length = if huge { u64::MAX - length } else { length };
            bytes.extend(length.to_ne_bytes());
            bytes.extend(V6.to_ne_bytes());
            bytes.extend(IPV6_PKTINFO.to_ne_bytes());
            bytes.resize(bytes.len() + data, 7);
        }
        check_bounds(&bytes[..bytes.len().saturating_sub(cut)]);
    }

    #[test]
    fn messages_come_back_as_they_were_pushed(
        messages in vec((any::<u32>(), any::<u32>(), vec(any::<u8>(), 0..40)), 0..8),
    ) {
        let mut control = ControlData::new();
        let mut kept = Vec::new();
        for (level, kind, data) in &messages {
            let before = control.as_bytes().len();
            let room = before + (16 + data.len()).next_multiple_of(8) <= CAPACITY;
            prop_assert_eq!(control.push(*level, *kind, data).is_ok(), room);
            if room {
                kept.push(ControlMessage { level: *level, kind: *kind, data });
            } else {
                prop_assert_eq!(control.as_bytes().len(), before);
            }
        }
        prop_assert_eq!(control.messages().collect::<Vec<_>>(), kept);
    }

    /// [wsk 8.8] The length that WSK gives may be that of all there was.
    #[test]
    fn length_of_more_than_there_is_room_for_is_cut(length in any::<u32>()) {
        let control = ControlData::from_raw(&[0; 16], length);
        prop_assert_eq!(control.as_bytes().len(), CAPACITY.min(length as usize));
    }
}

fn check_bounds(bytes: &[u8]) {
    let range = bytes.as_ptr_range();
    let mut end = range.start;
    let mut total = 0;
    for message in ControlMessages::new(bytes) {
        let data = message.data.as_ptr_range();
        assert!(end <= data.start && data.end <= range.end);
        end = data.end;
        total += 16 + message.data.len();
    }
    assert!(total <= bytes.len());
    let read = Ancillary::parse(bytes);
    assert!(bytes.len() >= 20 || read == Ancillary::default());
}

#[test]
fn encoding_of_ipv4_is_that_of_c() {
    let sent = Ancillary {
        packet_info: Some(PacketInfo {
            address: [192, 0, 2, 1].into(),
            interface: 0x0102_0304,
        }),
        hop_limit: Some(9),
        traffic_class: Some(0b1010_0000),
        ecn: Some(Ecn::Capable0),
    };
    let control = ControlData::encode(AddressFamily::Inet, &sent).expect("it fits");
    let header = |length: u64, kind: u32| {
        let parts = [
            &length.to_ne_bytes()[..],
            &V4.to_ne_bytes(),
            &kind.to_ne_bytes(),
        ];
        parts.concat()
    };
    let number = |value: u8| [&i32::from(value).to_ne_bytes()[..], &[0; 4]].concat();
    let expected = [
        header(24, IP_PKTINFO),
        [192, 0, 2, 1].to_vec(),
        0x0102_0304_u32.to_ne_bytes().to_vec(),
        header(20, IP_TTL),
        number(9),
        header(20, IP_TOS),
        number(0b1010_0000),
        header(20, IP_ECN),
        number(2),
    ];
    assert_eq!(control.as_bytes(), expected.concat());
}

#[test]
fn everything_of_ipv6_fits() {
    let sent = Ancillary {
        packet_info: Some(PacketInfo {
            address: [1; 16].into(),
            interface: 7,
        }),
        hop_limit: Some(255),
        traffic_class: Some(255),
        ecn: Some(Ecn::CongestionExperienced),
    };
    let control = ControlData::encode(AddressFamily::Inet6, &sent).expect("it fits");
    assert_eq!(control.as_bytes().len(), 40 + 3 * 24);
}

#[test]
fn packet_information_of_another_family_is_refused() {
    let sent = Ancillary {
        packet_info: Some(PacketInfo {
            address: [127, 0, 0, 1].into(),
            interface: 0,
        }),
        ..Ancillary::default()
    };
    let error = ControlData::encode(AddressFamily::Inet6, &sent).expect_err("of IPv4");
    assert_eq!(error.kind(), ErrorKind::InvalidParameter);
}

#[test]
fn impossible_values_are_left_out() {
    let mut control = ControlData::new();
    control
        .push(V4, IP_TTL, &256_i32.to_ne_bytes())
        .expect("room");
    control
        .push(V4, IP_ECN, &4_i32.to_ne_bytes())
        .expect("room");
    control.push(V4, IP_TOS, &[1, 0, 0]).expect("room");
    // A number of the right type at the wrong level.
    control
        .push(V4 + 1, IP_TTL, &1_i32.to_ne_bytes())
        .expect("room");
    assert_eq!(control.ancillary(), Ancillary::default());
    let mut control = ControlData::new();
    control
        .push(V6, IPV6_HOPLIMIT, &(-1_i32).to_ne_bytes())
        .expect("room");
    control
        .push(V6, IPV6_HOPLIMIT, &3_i32.to_ne_bytes())
        .expect("room");
    assert_eq!(control.ancillary().hop_limit, Some(3));
}
