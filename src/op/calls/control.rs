//! WskControlSocket: options and control operations, with an IRP and without [wsk 3a].

// UNSAFETY: calls through the provider's tables.
#![expect(unsafe_code, reason = "calls through the provider's tables")]

use core::{
    ffi::c_void,
    ptr::{NonNull, null_mut},
};

use wsk_sys::{
    SIO_ADDRESS_LIST_QUERY, SIO_ADDRESS_LIST_SORT, SIO_WSK_QUERY_INSPECT_ID, SO_WSK_SECURITY,
    SOL_SOCKET,
    WSK_CONTROL_SOCKET_TYPE::{self, WskGetOption, WskIoctl, WskSetOption},
    WSK_INSPECT_ID,
};

use super::{Started, start, table_of};
use crate::{
    ioctl::AddressList,
    mem::buffer::Buffer,
    op::{
        core::CoreRef,
        descriptor::{DescriptorRef, DescriptorRoom},
        slot::{Arguments, Payload, Prepared},
    },
    status::{Error, Result, Status},
};

const CALL: &str = "WskControlSocket";

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Control {
    request: WSK_CONTROL_SOCKET_TYPE::Type,
    level: u32,
    code: u32,
}

impl Control {
    pub(crate) const fn set(level: u32, code: u32) -> Self {
        Self {
            request: WskSetOption,
            level,
            code,
        }
    }

    pub(crate) const fn get(level: u32, code: u32) -> Self {
        Self {
            request: WskGetOption,
            level,
            code,
        }
    }

    /// The level is ignored [wsk 5.1].
    pub(crate) const fn ioctl(code: u32) -> Self {
        Self {
            request: WskIoctl,
            level: 0,
            code,
        }
    }
}

/// Memory that WSK reads or writes until completion.
#[derive(Clone, Copy)]
enum Memory {
    Nothing,
    /// So many bytes of the `extra` in the slot.
    Extra(u32),
    /// Bytes of a buffer that is the payload.
    Bytes(NonNull<c_void>, usize),
}

impl Memory {
    fn resolve(self, prepared: &Prepared) -> (u64, *mut c_void) {
        match self {
            Self::Nothing => (0, null_mut()),
            Self::Extra(length) => (length.into(), prepared.extra()),
            Self::Bytes(address, length) => (length as u64, address.as_ptr()),
        }
    }
}

/// With the value in the arguments as input.
pub(crate) fn put(core: &CoreRef, control: Control, arguments: Arguments) -> Started {
    let input = match arguments.extra_length {
        0 => Memory::Nothing,
        length => Memory::Extra(length),
    };
    let (payload, output) = (Payload::Nothing, Memory::Nothing);
    // SAFETY: the input is in the slot.
    unsafe { call(core, control, payload, arguments, (input, output), false) }
}

/// With an output of `size` bytes, at most those of `Extra`.
pub(crate) fn ask(core: &CoreRef, control: Control, size: u32) -> Started {
    let mut arguments = Arguments::none();
    debug_assert!(size as usize <= size_of_val(&arguments.extra));
    arguments.extra_length = size;
    let memory = (Memory::Nothing, Memory::Extra(size));
    // SAFETY: the output is in the slot.
    unsafe { call(core, control, Payload::Nothing, arguments, memory, false) }
}

/// With the filled part of one buffer as input, and the whole of another as output. The size that
/// the output needs is in `extra`, if WSK says.
pub(crate) fn exchange(
    core: &CoreRef,
    control: Control,
    input: Option<Buffer>,
    output: Option<Buffer>,
) -> Started {
    let filled = |buffer: &Buffer| match buffer.len() {
        0 => Memory::Nothing,
        length => Memory::Bytes(buffer.memory(), length),
    };
    let whole = |buffer: &Buffer| Memory::Bytes(buffer.memory(), buffer.capacity());
    let memory = (
        input.as_ref().map_or(Memory::Nothing, filled),
        output.as_ref().map_or(Memory::Nothing, whole),
    );
    let payload = Payload::Control { input, output };
    // SAFETY: the buffers are the payload.
    unsafe { call(core, control, payload, Arguments::none(), memory, true) }
}

/// # Safety
///
/// The memory, input and output, is in the slot or belongs to the payload; if it is `sized`, none
/// is in the slot. The operation is one that needs an IRP, and does not keep addresses that the
/// input contains, unless the payload has what they point to.
unsafe fn call(
    core: &CoreRef,
    control: Control,
    payload: Payload,
    arguments: Arguments,
    (input, output): (Memory, Memory),
    sized: bool,
) -> Started {
    start(core, CALL, payload, arguments, |table, socket, prepared| {
        let (input_size, input) = input.resolve(prepared);
        let (output_size, output) = output.resolve(prepared);
        let returned = if sized { prepared.extra() } else { null_mut() };
        // SAFETY: an open socket; the memory is there until completion (the caller's promise)
        // [wsk 3.12].
        table.control().map(|function| unsafe {
            function(
                socket,
                control.request,
                control.code,
                control.level,
                input_size,
                input,
                output_size,
                output,
                returned,
                prepared.irp,
            )
        })
    })
}

/// How a control operation without an IRP ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Returned {
    pub(crate) status: Status,
    /// The size of the output, or the size that it needs.
    pub(crate) size: usize,
}

/// An operation without an IRP: completed when this returns.
///
/// # Safety
///
/// The operation is one that must not have an IRP, or need not, and does not keep addresses that
/// the input contains.
unsafe fn now(
    core: &CoreRef,
    control: Control,
    input: &mut [u8],
    output: &mut [u8],
) -> Result<Returned> {
    let running = core.enter(CALL)?;
    let Some(function) = table_of(&running).control() else {
        return Err(Error::new(CALL, Status::NOT_IMPLEMENTED));
    };
    let mut size = 0_u64;
    // SAFETY: an open socket, and memory that outlives the call, which is all that WSK has without
    // an IRP [wsk 3a].
    let status = unsafe {
        function(
            running.socket(),
            control.request,
            control.code,
            control.level,
            input.len() as u64,
            start_of(input),
            output.len() as u64,
            start_of(output),
            &raw mut size,
            null_mut(),
        )
    };
    Ok(Returned {
        status: Status::from_raw(status),
        size: usize::try_from(size).unwrap_or(0),
    })
}

/// `SO_WSK_SECURITY`, which takes a pointer to a cached descriptor [wsk 4.5, 5.2].
pub(crate) fn set_security(core: &CoreRef, descriptor: DescriptorRef) -> Started {
    let mut arguments = Arguments::none();
    arguments.put_extra(descriptor.raw().expose_provenance());
    let control = Control::set(SOL_SOCKET, SO_WSK_SECURITY);
    let memory = (Memory::Extra(arguments.extra_length), Memory::Nothing);
    let payload = Payload::Descriptor(descriptor);
    // SAFETY: the input is in the slot, and the payload keeps what it points to.
    unsafe { call(core, control, payload, arguments, memory, false) }
}

/// `SO_WSK_SECURITY`, which gives a pointer to a cached descriptor [wsk 4.5, 5.2].
pub(crate) fn security(core: &CoreRef) -> Started {
    let running = core.enter(CALL)?;
    let room = DescriptorRoom::new(running.outstanding().provider())?;
    let control = Control::get(SOL_SOCKET, SO_WSK_SECURITY);
    let size = u32::try_from(size_of::<usize>()).unwrap_or(0);
    let memory = (Memory::Nothing, Memory::Extra(size));
    let payload = Payload::DescriptorRoom(room);
    // SAFETY: the output is in the slot.
    unsafe { call(core, control, payload, Arguments::none(), memory, false) }
}

/// `SIO_ADDRESS_LIST_QUERY`. PASSIVE_LEVEL.
pub(crate) fn address_list(core: &CoreRef, output: &mut [u8]) -> Result<Returned> {
    let control = Control::ioctl(SIO_ADDRESS_LIST_QUERY);
    // SAFETY: without an IRP [wsk 3a], and without an input.
    unsafe { now(core, control, &mut [], output) }
}

/// `SIO_ADDRESS_LIST_SORT`. PASSIVE_LEVEL.
pub(crate) fn sort_addresses(
    core: &CoreRef,
    input: &mut AddressList,
    output: &mut AddressList,
) -> Result<Returned> {
    let control = Control::ioctl(SIO_ADDRESS_LIST_SORT);
    // SAFETY: it gives a size, which is without an IRP [wsk 3a]; the addresses that the input
    // contains are its own, and sorting keeps none.
    unsafe { now(core, control, input.bytes(), output.bytes()) }
}

/// `SIO_WSK_QUERY_INSPECT_ID`.
pub(crate) fn inspect_id(core: &CoreRef) -> Result<WSK_INSPECT_ID> {
    const SIZE: usize = size_of::<WSK_INSPECT_ID>();
    let control = Control::ioctl(SIO_WSK_QUERY_INSPECT_ID);
    let mut output = [0; SIZE];
    // SAFETY: without an IRP [wsk 3a], and without an input.
    let returned = unsafe { now(core, control, &mut [], &mut output) }?;
    if !returned.status.is_success() {
        return Err(Error::new(CALL, returned.status));
    }
    if returned.size != SIZE {
        return Err(Error::new(CALL, Status::INVALID_BUFFER_SIZE));
    }
    // SAFETY: as many bytes, of integers.
    Ok(unsafe { output.as_ptr().cast::<WSK_INSPECT_ID>().read_unaligned() })
}

/// Null for none.
fn start_of(bytes: &mut [u8]) -> *mut c_void {
    if bytes.is_empty() {
        null_mut()
    } else {
        bytes.as_mut_ptr().cast()
    }
}
