//! Each test breaks what control operations ask of their caller, for every row of the facts that
//! asks for it, and expects exactly that report [wsk 1, 3a, 3.12, 4.5].

// UNSAFETY: plays a driver in C, which breaks the rules.
#![expect(unsafe_code, reason = "breaks the rules of control operations")]

use core::mem::forget;
use core::ptr;

use crate::common::{Client, Io, Socket, TAG};
use crate::control::{Control, Making, event_control, open};
use crate::descriptors::{Descriptor, cache, release};
use crate::facts;
use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag, KfRaiseIrql};
use wdk_sys::{PIRP, PVOID};
use wsk_sim::{Rule, Sim, builder};
use wsk_sys::{
    NPI_WSK_INTERFACE_ID, SO_RCVBUF, SO_WSK_SECURITY, SOL_SOCKET, WSK_EVENT_ACCEPT,
    WSK_EVENT_DISABLE, WSK_FLAG_CONNECTION_SOCKET, WSK_FLAG_LISTEN_SOCKET, WSK_RELEASE_SD,
};

const SECURITY: (u32, u32) = (SOL_SOCKET, SO_WSK_SECURITY);

/// Runs a body that breaks a rule, and checks that the report is about that rule and says `what`.
fn expect(rule: Rule, what: &str, body: impl FnOnce(&Sim) + Send + 'static) {
    let report = builder().offence(body);
    assert_eq!(report.rule, rule, "{report}");
    let details = &report.details;
    assert!(details.contains(what), "{what:?} is not in:\n{report}");
}

/// A row of the facts, and how to call what it is about.
#[derive(Clone)]
struct Operation {
    name: String,
    code: u32,
    /// The level of an option.
    level: Option<u32>,
    on_client: bool,
}

/// Every row of the facts that is `wanted`.
fn operations(wanted: impl Fn(&facts::Row) -> bool) -> Vec<Operation> {
    let of_kind = |rows: Vec<facts::Row>, on_client, is_option| {
        let wanted = rows.into_iter().filter(&wanted);
        let operations = wanted.map(|row| Operation {
            name: row.name().to_owned(),
            code: row.code(),
            level: if is_option { Some(row.level()) } else { None },
            on_client,
        });
        operations.collect::<Vec<_>>()
    };
    let mut found = of_kind(facts::of("WskControlClient"), true, false);
    found.extend(of_kind(facts::ioctls(), false, false));
    found.extend(of_kind(facts::options(), false, true));
    assert!(!found.is_empty(), "rows of the facts");
    found
}

impl Operation {
    fn control(&self) -> Control {
        match self.level {
            Some(level) => Control::set((level, self.code), &[0; 4]),
            None => Control::ioctl(self.code),
        }
    }

    fn start(&self, client: &Client, socket: Socket, returned: *mut u64, irp: PIRP) {
        let mut control = self.control();
        if self.on_client {
            control.start_on_client(client, returned, irp);
        } else {
            control.start(socket, returned, irp);
        }
        forget(control);
    }

    /// Makes the call with an IRP or without one, after `prepare`.
    fn report(self, rule: Rule, with_irp: bool, prepare: fn(), returned: *mut u64) {
        let (name, returned) = (self.name.clone(), returned.expose_provenance());
        let what = if rule == Rule::Irql { "IRQL" } else { &name };
        expect(rule, what, move |_| {
            let (mut io, mut own) = (Io::new(), Io::new());
            let client = Client::new();
            let socket = open(&client, &mut io, WSK_FLAG_CONNECTION_SOCKET);
            let irp = if with_irp {
                own.prepare()
            } else {
                ptr::null_mut()
            };
            prepare();
            let returned = ptr::with_exposed_provenance_mut(returned);
            self.start(&client, socket, returned, irp);
            // Not reached: the call above is the offence.
            forget((client, own));
        });
    }
}

fn nothing() {}

/// Raises the IRQL of the calling thread.
fn raise(irql: u8) {
    // SAFETY: within a simulation.
    unsafe { KfRaiseIrql(irql) };
}

#[test]
fn operation_without_the_irp_that_it_needs_is_reported() {
    // [wsk 3a]
    for operation in operations(facts::Row::irp_required) {
        operation.report(Rule::IrpRequired, false, nothing, ptr::null_mut());
    }
}

#[test]
fn operation_with_an_irp_that_must_be_null_is_reported() {
    // [wsk 3a]
    for operation in operations(facts::Row::irp_must_be_null) {
        operation.report(Rule::IrpMustBeNull, true, nothing, ptr::null_mut());
    }
}

#[test]
fn wsk_6_2_enabling_events_with_an_irp_is_reported() {
    expect(Rule::IrpMustBeNull, "SO_WSK_EVENT_CALLBACK", |_| {
        let (mut io, mut own) = (Io::new(), Io::new());
        let client = Client::new();
        let listener = client.listener(&mut io, "127.0.0.1:7");
        let irp = own.prepare();
        Control::events(WSK_EVENT_ACCEPT).start(listener, ptr::null_mut(), irp);
        forget(client);
    });
}

#[test]
fn operation_above_passive_level_that_needs_it_is_reported() {
    // [wsk 1]
    for operation in operations(facts::Row::only_at_passive) {
        let with_irp = !operation.name.ends_with("QUERY");
        let mut size = 0;
        operation.report(Rule::Irql, with_irp, || raise(2), &raw mut size);
    }
}

#[test]
fn operation_above_dispatch_level_is_reported() {
    // [wsk 1]
    for operation in operations(|_| true) {
        operation.report(Rule::Irql, true, || raise(3), ptr::null_mut());
    }
}

#[test]
fn operation_that_tells_a_size_without_a_place_for_it_is_reported() {
    // [wsk 3a]
    for operation in operations(facts::Row::tells_size) {
        operation.report(Rule::OutputSizeRequired, false, nothing, ptr::null_mut());
    }
}

#[test]
fn operation_up_to_dispatch_level_is_allowed_there() {
    // [wsk 1] No report: what the call returns does not matter.
    for operation in operations(|row| !row.only_at_passive()) {
        // These report what their input points to.
        if operation.name.ends_with("_SD") || operation.name == "SO_WSK_SECURITY" {
            continue;
        }
        wsk_sim::run(move |sim| {
            let (mut io, mut own) = (Io::new(), Io::new());
            let client = Client::new();
            let socket = open(&client, &mut io, WSK_FLAG_CONNECTION_SOCKET);
            let with_irp = operations(facts::Row::irp_required)
                .iter()
                .any(|other| other.name == operation.name);
            let irp = if with_irp {
                own.prepare()
            } else {
                ptr::null_mut()
            };
            let mut size = 0;
            sim.at_dispatch(|| operation.start(&client, socket, &raw mut size, irp));
            if with_irp {
                own.cancel();
                own.wait();
            }
            socket.close(&mut io);
        });
    }
}

#[test]
fn wsk_3_12_paged_buffer_of_an_operation_is_reported() {
    expect(Rule::PagedAtDispatch, "control operation", |sim| {
        let (mut io, mut own) = (Io::new(), Io::new());
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_CONNECTION_SOCKET);
        // SAFETY: within a simulation.
        let paged = unsafe { ExAllocatePool2(0x100, 4, TAG) };
        let irp = own.prepare();
        sim.at_dispatch(|| set_from(socket, paged, irp));
        forget(client);
    });
}

#[test]
fn wsk_3_12_freed_buffer_of_an_operation_is_reported() {
    expect(Rule::BufferFreed, "SO_RCVBUF", |_| {
        let (mut io, mut own) = (Io::new(), Io::new());
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_CONNECTION_SOCKET);
        // SAFETY: within a simulation.
        let memory = unsafe { ExAllocatePool2(0x40, 4, TAG) };
        // SAFETY: allocated above.
        unsafe { ExFreePoolWithTag(memory, TAG) };
        set_from(socket, memory, own.prepare());
        forget(client);
    });
}

#[test]
fn wsk_3_12_buffer_of_an_operation_freed_before_completion_is_reported() {
    // Whether the request is pending after the call is up to the schedule.
    let reported = |seed| {
        let report = builder().seed(seed).offence(|_| {
            let (mut io, mut own) = (Io::new(), Io::new());
            let client = Client::new();
            let socket = open(&client, &mut io, WSK_FLAG_CONNECTION_SOCKET);
            // SAFETY: within a simulation.
            let memory = unsafe { ExAllocatePool2(0x40, 4, TAG) };
            set_from(socket, memory, own.prepare());
            // SAFETY: breaks the rule, if the request is pending.
            unsafe { ExFreePoolWithTag(memory, TAG) };
            // It was complete: the socket is left open.
            forget((client, own));
        });
        report.rule == Rule::BufferFreed
    };
    assert!(
        (0..20).any(reported),
        "no schedule leaves the request pending"
    );
}

/// Sets `SO_RCVBUF` from memory of the test's.
fn set_from(socket: Socket, memory: PVOID, irp: PIRP) {
    let control = socket.listen_table().Basic.WskControlSocket.unwrap();
    // SAFETY: as complete a request as the test wants it to be.
    let _ = unsafe {
        control(
            socket.0,
            wsk_sys::WSK_CONTROL_SOCKET_TYPE::WskSetOption,
            SO_RCVBUF,
            SOL_SOCKET,
            4,
            memory,
            0,
            ptr::null_mut(),
            ptr::null_mut(),
            irp,
        )
    };
}

#[test]
fn wsk_4_5_descriptor_that_was_not_cached_is_reported() {
    expect(Rule::SecurityDescriptor, "SO_WSK_SECURITY", |_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        let own = [0_u8; 40];
        let address = own.as_ptr().expose_provenance();
        Control::set(SECURITY, &address.to_ne_bytes()).with_irp(socket, &mut io);
        forget(client);
    });
}

#[test]
fn wsk_4_5_socket_with_a_descriptor_that_was_not_cached_is_reported() {
    expect(Rule::SecurityDescriptor, "WskSocket", |_| {
        let mut io = Io::new();
        let client = Client::new();
        let own = [0_u8; 40];
        let mut making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        making.security = own.as_ptr().cast_mut().cast();
        making.make(&client, &mut io);
        forget(client);
    });
}

#[test]
fn wsk_4_5_descriptor_used_after_its_release_is_reported() {
    expect(Rule::SecurityDescriptor, "released", |_| {
        let mut io = Io::new();
        let client = Client::new();
        let cached = cache(&client, &Descriptor::everybody()).unwrap();
        release(&client, cached);
        let socket = open(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        Control::set(SECURITY, &cached.to_ne_bytes()).with_irp(socket, &mut io);
        forget(client);
    });
}

#[test]
fn wsk_4_5_descriptor_released_twice_is_reported() {
    expect(Rule::SecurityDescriptor, "WSK_RELEASE_SD", |_| {
        let client = Client::new();
        let cached = cache(&client, &Descriptor::everybody()).unwrap();
        release(&client, cached);
        release(&client, cached);
        forget(client);
    });
}

#[test]
fn wsk_4_5_release_of_what_was_never_cached_is_reported() {
    expect(Rule::SecurityDescriptor, "never cached", |_| {
        let client = Client::new();
        let mut control = Control::ioctl(WSK_RELEASE_SD).input(&8_usize.to_ne_bytes());
        control.on_client(&client);
        forget(client);
    });
}

#[test]
fn wsk_4_5_descriptor_released_before_the_socket_is_made_is_reported() {
    // Whether the request is pending after the call is up to the schedule.
    let reported = |seed| {
        let report = builder().seed(seed).offence(|_| {
            let mut io = Io::new();
            let client = Client::new();
            let cached = cache(&client, &Descriptor::everybody()).unwrap();
            let mut making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
            making.security = ptr::with_exposed_provenance_mut(cached);
            making.start(&client, io.prepare());
            release(&client, cached);
            // It was complete: the socket is left open.
            forget((client, io));
        });
        report.rule == Rule::SecurityDescriptor
    };
    assert!(
        (0..20).any(reported),
        "no schedule leaves the request pending"
    );
}

#[test]
fn wsk_4_5_descriptor_not_released_at_deregistration_is_reported() {
    expect(Rule::Leak, "security descriptor", |_| {
        let client = Client::new();
        cache(&client, &Descriptor::everybody()).unwrap();
    });
}

#[test]
fn wsk_4_5_descriptor_not_released_at_the_end_is_reported() {
    expect(Rule::Leak, "security descriptor", |_| {
        let client = Client::new();
        cache(&client, &Descriptor::everybody()).unwrap();
        forget(client);
    });
}

#[test]
fn wsk_4_5_owner_that_is_no_process_is_reported() {
    expect(Rule::Owner, "OwningProcess", |_| {
        let mut io = Io::new();
        let client = Client::new();
        let mut making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        making.process = ptr::dangling_mut::<u64>().cast();
        making.make(&client, &mut io);
        forget(client);
    });
}

#[test]
fn wsk_4_5_owner_that_is_no_thread_is_reported() {
    expect(Rule::Owner, "OwningThread", |_| {
        let mut io = Io::new();
        let client = Client::new();
        let mut making = Making::new(WSK_FLAG_LISTEN_SOCKET, false);
        making.thread = ptr::dangling_mut::<u64>().cast();
        making.make(&client, &mut io);
        forget(client);
    });
}

#[test]
fn wsk_10_3_operation_on_a_closed_socket_is_reported() {
    expect(Rule::CallAfterClose, "WskControlSocket", |_| {
        let mut io = Io::new();
        let client = Client::new();
        let socket = open(&client, &mut io, WSK_FLAG_LISTEN_SOCKET);
        socket.close(&mut io);
        let npi = ptr::from_ref(&NPI_WSK_INTERFACE_ID);
        assert_eq!(event_control(npi, WSK_EVENT_DISABLE).len(), 16);
        Control::events(WSK_EVENT_ACCEPT).without_irp(socket);
        forget(client);
    });
}

#[test]
fn wsk_2_8_operation_on_a_client_after_its_release_is_reported() {
    expect(Rule::CallAfterRelease, "WskControlClient", |_| {
        let mut client = Client::new();
        // SAFETY: the NPI was captured once.
        unsafe { wsk_sys::WskReleaseProviderNPI(&raw mut *client.block) };
        Control::ioctl(wsk_sys::WSK_TRANSPORT_LIST_QUERY).on_client(&client);
        forget(client);
    });
}
