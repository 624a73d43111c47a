//! The inline functions on IRPs, re-implemented in this crate, against raw offsets of 64-bit
//! Windows. The IRPs are made in plain memory.

// UNSAFETY: the functions under test work on memory behind pointers.
#![expect(
    unsafe_code,
    reason = "calls of unsafe functions on memory of the test"
)]

use std::ptr;

use wsk_sys::{
    IoCopyCurrentIrpStackLocationToNext, IoGetCurrentIrpStackLocation, IoGetNextIrpStackLocation,
    IoMarkIrpPending, IoSetCompletionRoutine, IoSetNextIrpStackLocation, IoSizeOfIrp,
    IoSkipCurrentIrpStackLocation, irp_information, irp_status, set_irp_status,
    wdk_sys::{
        DEVICE_OBJECT, IRP, NTSTATUS, PIO_STACK_LOCATION, PIRP, PVOID, STATUS_CANCELLED,
        STATUS_SUCCESS,
    },
};

/// Stack locations of the IRPs here.
const LOCATIONS: usize = 2;
const IRP_SIZE: usize = 208;
const LOCATION_SIZE: usize = 72;

/// An IRP as `IoInitializeIrp` leaves it: the current location is the one past the last.
struct Request(Box<[u128; (IRP_SIZE + LOCATIONS * LOCATION_SIZE) / 16]>);

impl Request {
    fn new() -> Self {
        let mut request = Self(Box::new([0; (IRP_SIZE + LOCATIONS * LOCATION_SIZE) / 16]));
        let end = request.location(LOCATIONS + 1);
        request.write(0x42, i8::try_from(LOCATIONS).expect("a small number"));
        request.write(0x43, i8::try_from(LOCATIONS + 1).expect("a small number"));
        request.write(0xB8, end);
        request
    }

    fn irp(&mut self) -> PIRP {
        self.0.as_mut_ptr().cast()
    }

    /// The address of a location; they are numbered from 1.
    fn location(&mut self, number: usize) -> PIO_STACK_LOCATION {
        let offset = IRP_SIZE + (number - 1) * LOCATION_SIZE;
        self.0.as_mut_ptr().wrapping_byte_add(offset).cast()
    }

    fn read<T: Copy>(&self, offset: usize) -> T {
        assert!(offset + size_of::<T>() <= size_of_val(&*self.0));
        // SAFETY: inside the memory, which is initialised; integers and pointers are asked for.
        unsafe {
            self.0
                .as_ptr()
                .wrapping_byte_add(offset)
                .cast::<T>()
                .read_unaligned()
        }
    }

    fn write<T>(&mut self, offset: usize, value: T) {
        assert!(offset + size_of::<T>() <= size_of_val(&*self.0));
        let to = self.0.as_mut_ptr().wrapping_byte_add(offset).cast::<T>();
        // SAFETY: inside the memory, of which nothing else is borrowed.
        unsafe { to.write_unaligned(value) };
    }

    /// The offset of a member of a location.
    fn at(number: usize, member: usize) -> usize {
        IRP_SIZE + (number - 1) * LOCATION_SIZE + member
    }
}

/// A completion routine.
unsafe extern "C" fn complete(
    _device: *mut DEVICE_OBJECT,
    _irp: *mut IRP,
    _context: PVOID,
) -> NTSTATUS {
    STATUS_SUCCESS
}

#[test]
fn size_of_an_irp_counts_its_stack_locations() {
    assert_eq!(IoSizeOfIrp(0), 208);
    assert_eq!(IoSizeOfIrp(1), 280);
    assert_eq!(IoSizeOfIrp(2), 352);
    assert_eq!(IoSizeOfIrp(127), 208 + 127 * 72);
}

#[test]
fn next_location_of_a_new_irp_is_its_last() {
    let mut request = Request::new();
    let irp = request.irp();
    // SAFETY: an IRP of this test with two locations left.
    let found = unsafe { IoGetNextIrpStackLocation(irp) };
    assert_eq!(found, request.location(2));
    // SAFETY: as above.
    let found = unsafe { IoGetCurrentIrpStackLocation(irp) };
    assert_eq!(found, request.location(3));
}

#[test]
fn setting_the_next_location_moves_number_and_pointer() {
    let mut request = Request::new();
    let irp = request.irp();
    // SAFETY: an IRP of this test with two locations left.
    unsafe { IoSetNextIrpStackLocation(irp) };
    assert_eq!(request.read::<i8>(0x43), 2);
    assert_eq!(
        request.read::<PIO_STACK_LOCATION>(0xB8),
        request.location(2)
    );
    // SAFETY: one location is left.
    unsafe { IoSetNextIrpStackLocation(irp) };
    assert_eq!(request.read::<i8>(0x43), 1);
    assert_eq!(
        request.read::<PIO_STACK_LOCATION>(0xB8),
        request.location(1)
    );
}

#[test]
fn skipping_the_current_location_undoes_setting_the_next() {
    let mut request = Request::new();
    let before = *request.0;
    let irp = request.irp();
    // SAFETY: an IRP of this test with two locations left.
    unsafe { IoSetNextIrpStackLocation(irp) };
    assert_ne!(*request.0, before);
    // SAFETY: the IRP is at a location.
    unsafe { IoSkipCurrentIrpStackLocation(irp) };
    assert_eq!(*request.0, before);
}

#[test]
fn completion_routine_with_each_flag_is_stored_in_the_next_location() {
    let flags = [
        (true, false, false, 0x40),
        (false, true, false, 0x80),
        (false, false, true, 0x20),
    ];
    for (success, error, cancel, control) in flags {
        let mut request = Request::new();
        let irp = request.irp();
        // Whatever was there is replaced.
        request.write(Request::at(2, 3), 0x01_u8);
        let context = ptr::without_provenance_mut(0x1234_5678_9ABC);
        // SAFETY: an IRP of this test with locations left, which no one completes.
        unsafe { IoSetCompletionRoutine(irp, Some(complete), context, success, error, cancel) };
        assert_eq!(request.read::<u8>(Request::at(2, 3)), control);
        assert_eq!(
            request.read::<usize>(Request::at(2, 0x38)),
            complete as *const () as usize
        );
        assert_eq!(
            request.read::<usize>(Request::at(2, 0x40)),
            0x1234_5678_9ABC
        );
        assert_eq!(request.read::<i8>(0x43), 3, "the current location stays");
    }
}

#[test]
fn completion_routine_with_all_flags_is_stored_in_the_next_location_only() {
    let mut request = Request::new();
    let mut expected = Request::new();
    expected.write(0xB8, request.location(3));
    expected.write(Request::at(2, 3), 0xE0_u8);
    expected.write(Request::at(2, 0x38), complete as *const ());
    let irp = request.irp();
    // SAFETY: an IRP of this test with locations left, which no one completes.
    unsafe { IoSetCompletionRoutine(irp, Some(complete), ptr::null_mut(), true, true, true) };
    assert_eq!(*request.0, *expected.0);
}

#[test]
fn marking_an_irp_pending_keeps_the_other_bits() {
    let mut request = Request::new();
    let irp = request.irp();
    // SAFETY: an IRP of this test with locations left.
    unsafe { IoSetNextIrpStackLocation(irp) };
    request.write(Request::at(2, 3), 0xE0_u8);
    // SAFETY: the IRP is at a location.
    unsafe { IoMarkIrpPending(irp) };
    assert_eq!(request.read::<u8>(Request::at(2, 3)), 0xE1);
}

#[test]
fn copying_a_location_leaves_routine_and_control_behind() {
    let mut request = Request::new();
    let irp = request.irp();
    // SAFETY: an IRP of this test with locations left.
    unsafe { IoSetNextIrpStackLocation(irp) };
    for byte in 0..LOCATION_SIZE {
        request.write(Request::at(2, byte), 0xAA_u8);
    }
    // SAFETY: the IRP is at a location and has one left.
    unsafe { IoCopyCurrentIrpStackLocationToNext(irp) };
    for byte in 0..LOCATION_SIZE {
        let copied = byte < 0x38 && byte != 3;
        let expected = if copied { 0xAA } else { 0 };
        assert_eq!(
            request.read::<u8>(Request::at(1, byte)),
            expected,
            "byte {byte}"
        );
    }
}

#[test]
fn status_of_an_irp_is_where_the_kernel_has_it() {
    let mut request = Request::new();
    let irp = request.irp();
    // SAFETY: an IRP of this test.
    unsafe { set_irp_status(irp, STATUS_CANCELLED, 77) };
    assert_eq!(request.read::<i32>(0x30), STATUS_CANCELLED);
    assert_eq!(request.read::<u64>(0x38), 77);
    let irp = request.irp();
    // SAFETY: as above.
    assert_eq!(unsafe { irp_status(irp) }, STATUS_CANCELLED);
    // SAFETY: as above.
    assert_eq!(unsafe { irp_information(irp) }, 77);
}
