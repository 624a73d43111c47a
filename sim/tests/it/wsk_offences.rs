//! Each test breaks one rule of WSK, and expects exactly that report.

// UNSAFETY: plays a driver in C, which calls the kernel directly.
#![expect(unsafe_code, reason = "breaks the rules of WSK")]

use core::mem::forget;
use core::ptr;

use crate::common::{Client, DISPATCH, Io, Memory, Socket};
use wdk_sys::ntddk::{ExAllocatePool2, ExFreePoolWithTag, IoFreeIrp, IoFreeMdl, IoReuseIrp};
use wdk_sys::{
    NTSTATUS, PDEVICE_OBJECT, PIRP, PVOID, STATUS_MORE_PROCESSING_REQUIRED, STATUS_SUCCESS,
};
use wsk_sim::{Rule, Sim, builder};
use wsk_sys::{
    IoSetCompletionRoutine, WSK_CLIENT_DISPATCH, WSK_CLIENT_NPI, WSK_FLAG_LISTEN_SOCKET,
    WSK_NO_WAIT, WSK_PROVIDER_NPI, WSK_REGISTRATION, WskCaptureProviderNPI, WskDeregister,
    WskRegister, WskReleaseProviderNPI,
};

/// Runs a body that breaks a rule, and checks that the report is about that rule and says `what`.
pub fn expect(rule: Rule, what: &str, body: impl FnOnce(&Sim) + Send + 'static) {
    let report = builder().offence(body);
    assert_eq!(report.rule, rule, "{report}");
    assert!(
        report.details.contains(what),
        "{what:?} is not in:\n{report}"
    );
}

/// A connection of the driver's to a listening peer.
fn connected(sim: &Sim, io: &mut Io) -> (Client, Socket, wsk_sim::Listener) {
    let client = Client::new();
    let server = sim.listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let socket = client.connection(io, "127.0.0.1:0");
    assert_eq!(socket.connect(io, server.local_addr()).0, STATUS_SUCCESS);
    (client, socket, server)
}

#[test]
fn wsk_3_2_irp_without_completion_routine_is_reported() {
    expect(Rule::NoCompletionRoutine, "WskAccept", |_| {
        let mut io = Io::new();
        let listener = Client::new().listener_leaked(&mut io);
        // SAFETY: breaks the rule: IoReuseIrp has removed the completion routine.
        unsafe { IoReuseIrp(io.irp, 0) };
        listener.start_accept(io.irp);
    });
}

#[test]
fn wsk_3_10_irp_reused_without_setting_its_routine_again_is_reported() {
    expect(Rule::NoCompletionRoutine, "WskCloseSocket", |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let (status, socket) = client.try_socket(&mut io, WSK_FLAG_LISTEN_SOCKET, false);
        assert_eq!(status, STATUS_SUCCESS);
        let irp = io.prepare();
        // SAFETY: the IRP is idle.
        unsafe { IoReuseIrp(irp, STATUS_SUCCESS) };
        Socket::new(socket).start_close(irp);
    });
}

#[test]
fn wsk_3_5_irp_freed_while_pending_is_reported() {
    expect(Rule::IrpFreedInFlight, "IRP", |_| {
        let (mut io, mut accept) = (Io::new(), Io::new());
        let listener = Client::new().listener_leaked(&mut io);
        listener.start_accept(accept.prepare());
        // SAFETY: breaks the rule: pending, because nobody connects.
        unsafe { IoFreeIrp(accept.irp) };
    });
}

#[test]
fn wsk_3_5_irp_reused_while_pending_is_reported() {
    expect(Rule::IrpReusedInFlight, "IRP", |_| {
        let (mut io, mut accept) = (Io::new(), Io::new());
        let listener = Client::new().listener_leaked(&mut io);
        listener.start_accept(accept.prepare());
        accept.prepare();
    });
}

#[test]
fn wsk_3_9_call_from_completion_routine_is_reported() {
    unsafe extern "C" fn closes(_: PDEVICE_OBJECT, irp: PIRP, context: PVOID) -> NTSTATUS {
        Socket(context.cast()).start_close(irp);
        STATUS_MORE_PROCESSING_REQUIRED
    }
    expect(Rule::WskFromCompletion, "WskCloseSocket", |sim| {
        let (mut io, mut bind) = (Io::new(), Io::new());
        let client = Client::new();
        let (_, socket) = client.try_socket(&mut io, wsk_sys::WSK_FLAG_LISTEN_SOCKET, false);
        let socket = Socket::new(socket);
        let irp = bind.prepare();
        // SAFETY: the IRP has one stack location.
        unsafe { IoSetCompletionRoutine(irp, Some(closes), socket.0.cast(), true, true, true) };
        let mut address = crate::common::Address::of("127.0.0.1:7".parse().unwrap());
        let call = socket.listen_table().WskBind.unwrap();
        // SAFETY: a complete request, whose completion routine breaks the rule.
        let _ = unsafe { call(socket.0, address.pointer(), 0, irp) };
        sim.sleep(core::time::Duration::from_secs(1));
    });
}

#[test]
fn wsk_3_12_mdl_freed_while_pending_is_reported() {
    expect(Rule::MdlFreedInUse, "pending request", |sim| {
        let mut io = Io::new();
        let (client, socket, server) = connected(sim, &mut io);
        let memory = Memory::new(16);
        socket.start_receive(&memory, 0, io.prepare());
        // SAFETY: breaks the rule: nobody sends, so the request is pending.
        unsafe { IoFreeMdl(memory.mdl) };
        forget((client, server));
    });
}

#[test]
fn wsk_3_12_buffer_freed_while_pending_is_reported() {
    expect(Rule::BufferFreed, "pending request", |sim| {
        let mut io = Io::new();
        let (client, socket, server) = connected(sim, &mut io);
        let memory = Memory::new(16);
        socket.start_receive(&memory, 0, io.prepare());
        // SAFETY: breaks the rule: nobody sends, so the request is pending.
        unsafe { ExFreePoolWithTag(memory.bytes.cast(), crate::common::TAG) };
        forget((client, server));
    });
}

#[test]
fn wsk_8_9_buffer_beyond_its_mdl_is_reported() {
    expect(Rule::BufferBeyondMdl, "4 bytes lie beyond", |sim| {
        let mut io = Io::new();
        let (client, socket, server) = connected(sim, &mut io);
        let memory = Memory::new(16);
        let mut buffer = memory.buffer(4, 16);
        let send = socket.table().WskSend.unwrap();
        // SAFETY: breaks the rule: 4 + 16 bytes of 16.
        let _ = unsafe { send(socket.0, &raw mut buffer, 0, io.prepare()) };
        forget((client, server));
    });
}

#[test]
fn wsk_10_1_close_during_another_call_is_reported() {
    // Which thread is in a call when the other closes is up to the schedule: one of these seeds
    // lets them meet.
    let meets = |seed| {
        let report = builder().seed(seed).preempt_one_in(1).offence(|sim| {
            let (mut io, mut other) = (Io::new(), Io::new());
            let listener = Client::new().listener_leaked(&mut io);
            let irp = Shared(other.prepare());
            let task = sim.spawn(move || listener.start_accept(irp.get()));
            listener.start_close(io.prepare());
            task.join();
            // Both orders without a meeting: the accept came after the close, or is left pending.
            listener.close(&mut io);
        });
        report.rule == Rule::CloseDuringCall
    };
    assert!((0..50).any(meets), "no schedule lets the two calls meet");
}

#[test]
fn wsk_10_3_call_after_close_is_reported() {
    expect(Rule::CallAfterClose, "WskAccept", |_| {
        let mut io = Io::new();
        let listener = Client::new().listener_leaked(&mut io);
        listener.close(&mut io);
        listener.start_accept(io.prepare());
    });
}

#[test]
fn wsk_10_3_second_close_is_reported() {
    expect(Rule::CallAfterClose, "WskCloseSocket", |_| {
        let mut io = Io::new();
        let listener = Client::new().listener_leaked(&mut io);
        listener.close(&mut io);
        listener.close(&mut io);
    });
}

// [wsk 2.9, 2.10]
#[test]
fn wsk_2_9_deregister_with_open_socket_is_reported_as_hang() {
    expect(Rule::Hang, "WskDeregister", |_| {
        let mut io = Io::new();
        let client = Client::new();
        client.listener(&mut io, "127.0.0.1:7");
    });
}

#[test]
fn wsk_2_9_hang_names_the_open_socket() {
    expect(Rule::Hang, "Listen socket", |_| {
        let mut io = Io::new();
        let client = Client::new();
        client.listener(&mut io, "127.0.0.1:7");
    });
}

#[test]
fn wsk_2_9_deregister_with_capture_is_reported_as_hang() {
    expect(Rule::Hang, "1 captures", |_| {
        let mut client = Client::new();
        // SAFETY: breaks the rule: the NPI was not released.
        unsafe { WskDeregister(&raw mut *client.block) };
    });
}

#[test]
fn wsk_2_4_deregister_twice_is_reported() {
    expect(Rule::Registration, "WskDeregister", |_| {
        let mut client = Client::new();
        // SAFETY: the NPI was captured once.
        unsafe { WskReleaseProviderNPI(&raw mut *client.block) };
        // SAFETY: nothing is left.
        unsafe { WskDeregister(&raw mut *client.block) };
        // SAFETY: breaks the rule.
        unsafe { WskDeregister(&raw mut *client.block) };
    });
}

#[test]
fn wsk_2_1_registration_that_was_moved_is_reported() {
    expect(Rule::Registration, "never registered", |_| {
        let client = Client::new();
        let mut moved = *client.block;
        let mut npi = WSK_PROVIDER_NPI::default();
        // SAFETY: breaks the rule: the block is a copy.
        unsafe { WskCaptureProviderNPI(&raw mut moved, WSK_NO_WAIT, &raw mut npi) };
    });
}

#[test]
fn wsk_2_3_table_with_reserved_other_than_0_is_reported() {
    expect(Rule::Registration, "Reserved", |_| {
        let dispatch = WSK_CLIENT_DISPATCH {
            Reserved: 1,
            ..DISPATCH
        };
        let mut npi = WSK_CLIENT_NPI {
            ClientContext: ptr::null_mut(),
            Dispatch: &raw const dispatch,
        };
        let mut block = WSK_REGISTRATION::default();
        // SAFETY: breaks the rule.
        unsafe { WskRegister(&raw mut npi, &raw mut block) };
    });
}

#[test]
fn wsk_4_11_socket_freed_by_the_driver_is_reported() {
    expect(Rule::BadFree, "free of", |_| {
        let (mut io, client) = (Io::new(), Client::new());
        let (_, socket) = client.try_socket(&mut io, WSK_FLAG_LISTEN_SOCKET, false);
        // SAFETY: breaks the rule: the memory is WSK's.
        unsafe { ExFreePoolWithTag(ptr::with_exposed_provenance_mut(socket), 0) };
    });
}

#[test]
fn wsk_2_5_release_twice_is_reported() {
    expect(Rule::Capture, "WskReleaseProviderNPI", |_| {
        let mut client = Client::new();
        // SAFETY: the NPI was captured once.
        unsafe { WskReleaseProviderNPI(&raw mut *client.block) };
        // SAFETY: breaks the rule.
        unsafe { WskReleaseProviderNPI(&raw mut *client.block) };
    });
}

#[test]
fn wsk_2_8_socket_after_release_is_reported() {
    expect(Rule::CallAfterRelease, "WskSocket", |_| {
        let mut io = Io::new();
        let mut client = Client::new();
        // SAFETY: the NPI was captured once.
        unsafe { WskReleaseProviderNPI(&raw mut *client.block) };
        client.try_socket(&mut io, wsk_sys::WSK_FLAG_LISTEN_SOCKET, false);
    });
}

#[test]
fn wsk_1_deregister_at_dispatch_is_reported() {
    expect(Rule::Irql, "WskDeregister", |sim| {
        let mut client = Client::new();
        // SAFETY: breaks the rule.
        sim.at_dispatch(|| unsafe { WskDeregister(&raw mut *client.block) });
    });
}

#[test]
fn second_accept_in_parallel_is_reported() {
    expect(Rule::ParallelAccept, "WskAccept", |_| {
        let (mut io, mut first, mut second) = (Io::new(), Io::new(), Io::new());
        let listener = Client::new().listener_leaked(&mut io);
        listener.start_accept(first.prepare());
        listener.start_accept(second.prepare());
    });
}

#[test]
fn socket_left_open_is_reported() {
    expect(Rule::Leak, "Listen socket", |_| {
        let mut io = Io::new();
        Client::new().listener_leaked(&mut io);
    });
}

#[test]
fn null_irp_is_reported() {
    expect(Rule::IrpRequired, "WskAccept", |_| {
        let mut io = Io::new();
        let listener = Client::new().listener_leaked(&mut io);
        listener.start_accept(ptr::null_mut());
    });
}

#[test]
fn function_of_another_category_is_reported() {
    expect(Rule::BadSocket, "WskSend", |sim| {
        let mut io = Io::new();
        let (client, socket, server) = connected(sim, &mut io);
        let listener = client.listener(&mut io, "127.0.0.1:7");
        let memory = Memory::new(1);
        let mut buffer = memory.buffer(0, 1);
        let send = socket.table().WskSend.unwrap();
        // SAFETY: breaks the rule: a listening socket.
        let _ = unsafe { send(listener.0, &raw mut buffer, 0, io.prepare()) };
        forget((client, server));
    });
}

#[test]
fn wsk_1_4_paged_accept_context_is_reported() {
    expect(Rule::PagedAtDispatch, "WskAccept", |_| {
        let mut io = Io::new();
        let listener = Client::new().listener_leaked(&mut io);
        // SAFETY: within a simulation.
        let paged = unsafe { ExAllocatePool2(0x100, 8, crate::common::TAG) };
        let accept = listener.listen_table().WskAccept.unwrap();
        let null = ptr::null_mut;
        // SAFETY: breaks the rule: the context is in paged pool.
        let _ = unsafe {
            accept(
                listener.0,
                0,
                paged,
                ptr::null(),
                null(),
                null(),
                io.prepare(),
            )
        };
    });
}

/// An IRP that one thread prepares and another uses.
#[derive(Clone, Copy)]
struct Shared(PIRP);

// SAFETY: the test uses it on one thread at a time.
unsafe impl Send for Shared {}

impl Shared {
    fn get(self) -> PIRP {
        self.0
    }
}
