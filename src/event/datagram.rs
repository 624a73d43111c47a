//! The event of datagram sockets.

// UNSAFETY: a callback that WSK calls with lists of its own, reached by address.
#![expect(unsafe_code, reason = "a callback of WSK, and memory of WSK's")]

use core::{
    fmt,
    marker::PhantomData,
    net::SocketAddr,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use wsk_sys::{
    PWSK_DATAGRAM_INDICATION, WSK_CLIENT_DATAGRAM_DISPATCH, WSK_DATAGRAM_INDICATION,
    WSK_FLAG_AT_DISPATCH_LEVEL,
    wdk_sys::{NTSTATUS, PVOID, STATUS_DATA_NOT_ACCEPTED, STATUS_SUCCESS, ULONG},
};

use super::{
    data::Data,
    indication::{Answer, Received, RetainBudget},
};
use crate::{
    addr::SocketAddress,
    ancillary::{Ancillary, ControlMessages},
    flags::DatagramFlags,
    mem::arc::PoolArc,
    op::{
        core::CoreRef,
        event_calls,
        handler::{Attend, Handler},
        retained::Retention,
    },
    status::Result,
};

/// What a datagram socket does when datagrams arrive.
///
/// IRQL: every method is called at <= DISPATCH_LEVEL, on any thread. Calls come one after the other
/// [wsk 8.3]. None may block, or wait for a request [wsk 1.3]. The handler itself is dropped at <=
/// DISPATCH_LEVEL.
///
/// ```no_run
/// use core::sync::atomic::{AtomicUsize, Ordering};
/// use wsk::{DatagramEvents, DatagramIndication, Received};
///
/// struct Count(AtomicUsize);
///
/// impl DatagramEvents for Count {
///     fn receive_from<'call>(&self, indication: DatagramIndication<'call>) -> Received<'call> {
///         for datagram in indication.datagrams() {
///             self.0.fetch_add(datagram.data().len(), Ordering::Relaxed);
///         }
///         indication.consume()
///     }
/// }
/// ```
///
/// [WSK_CLIENT_DATAGRAM_DISPATCH](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_client_datagram_dispatch)
#[doc(alias = "WSK_CLIENT_DATAGRAM_DISPATCH")]
pub trait DatagramEvents: Send + Sync + 'static {
    /// Datagrams have arrived: at least one. Refuses them unless implemented.
    ///
    /// [PFN_WSK_RECEIVE_FROM_EVENT](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_receive_from_event)
    #[doc(alias = "WskReceiveFromEvent")]
    fn receive_from<'call>(&self, indication: DatagramIndication<'call>) -> Received<'call> {
        indication.refuse()
    }

    /// The socket is dead: close it soon. Or it was closed, and WSK says that this has failed: then
    /// the handler is never dropped, as WSK may still call it [wsk 10.7]. Called once at most.
    fn dead(&self) {}
}

/// The handler of a datagram socket.
pub(crate) struct Bound<H> {
    handler: H,
    dead: AtomicBool,
}

impl<H: DatagramEvents> Bound<H> {
    /// Makes the handler of a socket.
    pub(crate) fn handler(handler: H) -> Result<Handler> {
        let this = Self {
            handler,
            dead: AtomicBool::new(false),
        };
        // SAFETY: the callback of this table takes the handler for a `Bound<H>`.
        unsafe { Handler::new(this, Table::<H>::DISPATCH) }
    }
}

impl<H: DatagramEvents> Attend for Bound<H> {
    fn report_death(&self) {
        if !self.dead.swap(true, Ordering::Relaxed) {
            self.handler.dead();
        }
    }
}

struct Table<H>(PhantomData<H>);

impl<H: DatagramEvents> Table<H> {
    const DISPATCH: &'static WSK_CLIENT_DATAGRAM_DISPATCH = &WSK_CLIENT_DATAGRAM_DISPATCH {
        WskReceiveFromEvent: Some(receive_from_event::<H>),
    };
}

/// `WskReceiveFromEvent` [wsk 8.5].
unsafe extern "C" fn receive_from_event<H: DatagramEvents>(
    context: PVOID,
    flags: ULONG,
    list: PWSK_DATAGRAM_INDICATION,
) -> NTSTATUS {
    // SAFETY: the context that the socket was made with; it is not closed before this returns
    // [wsk 10.2].
    let core = unsafe { CoreRef::of_callback(context) };
    // SAFETY: this callback runs, and its table came with this type.
    let bound = unsafe { core.handler::<Bound<H>>() };
    let Some(head) = NonNull::new(list) else {
        bound.report_death();
        return STATUS_SUCCESS;
    };
    // What is retained must be known before the socket is closed, so it is not closed meanwhile.
    if !core.hold() {
        return STATUS_DATA_NOT_ACCEPTED;
    }
    let indication = DatagramIndication {
        core: &core,
        // SAFETY: in the event that brought the list; held until `conclude` below.
        list: unsafe { DatagramList::new(head) },
        flags,
    };
    let (status, _) = bound.handler.receive_from(indication).conclude(&core);
    status
}

/// Datagrams that have arrived, valid during the call. Every way of answering gives the
/// [`Received`] that the handler returns.
///
/// Copying what is needed and [consuming](Self::consume) all is the default: what is retained keeps
/// memory of the network adapter [wsk 8.10].
///
/// IRQL: every method <= DISPATCH_LEVEL.
///
/// # Invariants
///
/// In an event of `core`, a datagram socket which is held; the list is what the event brought.
#[derive(Debug)]
pub struct DatagramIndication<'call> {
    core: &'call CoreRef,
    list: DatagramList<'call>,
    flags: ULONG,
}

impl<'call> DatagramIndication<'call> {
    /// The datagrams.
    #[must_use]
    pub fn datagrams(&self) -> DatagramList<'_> {
        self.list
    }

    /// How all of them were addressed. They are never [truncated](DatagramFlags::TRUNCATED). That
    /// WSK called at DISPATCH_LEVEL (`WSK_FLAG_AT_DISPATCH_LEVEL`) is not among these flags: WSK
    /// need not say so, and what blocks takes a [`Passive`](crate::Passive).
    #[must_use]
    pub fn flags(&self) -> DatagramFlags {
        DatagramFlags::from_raw(self.flags & !WSK_FLAG_AT_DISPATCH_LEVEL)
    }

    /// All of them have been used.
    pub fn consume(self) -> Received<'call> {
        Received::new(Answer::Consumed)
    }

    /// None was used: they stay with WSK, as far as it has room, for
    /// [`receive_from`](crate::DatagramSocket::receive_from). No more events until
    /// [`enable_receive_events`](crate::DatagramSocket::enable_receive_events), which brings them
    /// again [wsk 8.5].
    pub fn refuse(self) -> Received<'call> {
        Received::new(Answer::Refused)
    }

    /// Keeps all of them beyond the call, as far as `budget` goes. Each counts with its data, its
    /// control data, and 56 bytes of its own.
    ///
    /// # Errors
    ///
    /// The indication comes back if the budget is exhausted, or if there is no memory: copy what is
    /// needed.
    #[doc(alias = "WskRelease")]
    pub fn retain(
        self,
        budget: &RetainBudget,
    ) -> core::result::Result<(Received<'call>, RetainedDatagrams), Self> {
        let (list, cost) = (self.list.head.cast(), self.list.cost());
        let release = event_calls::release_of_datagrams;
        // SAFETY: in the event that brought the list, and the datagram socket is held (invariant).
        let retention = unsafe { Retention::new(self.core, list, cost, budget.shared(), release) };
        match retention {
            Ok(Some(retention)) => Ok((
                Received::new(Answer::Retained(retention.clone())),
                RetainedDatagrams(retention),
            )),
            _ => Err(self),
        }
    }
}

/// Some datagrams in memory of WSK's.
///
/// IRQL: every method, of its datagrams too, <= DISPATCH_LEVEL.
///
/// # Invariants
///
/// While it lives, the list and what it describes stay as they are.
#[derive(Clone, Copy)]
pub struct DatagramList<'a> {
    head: NonNull<WSK_DATAGRAM_INDICATION>,
    valid: PhantomData<&'a [u8]>,
}

impl<'a> DatagramList<'a> {
    /// # Safety
    ///
    /// The list stays for `'a`.
    unsafe fn new(head: NonNull<WSK_DATAGRAM_INDICATION>) -> Self {
        Self {
            head,
            valid: PhantomData,
        }
    }

    /// The datagrams, in the order of the list.
    #[must_use]
    pub fn iter(self) -> Datagrams<'a> {
        Datagrams {
            next: Some(self.head),
            valid: PhantomData,
        }
    }

    /// What retaining them takes of a budget.
    fn cost(self) -> usize {
        self.iter().fold(0, |sum, datagram| {
            let control = datagram.control_bytes().len();
            let own = control + size_of::<WSK_DATAGRAM_INDICATION>();
            sum.saturating_add(datagram.data().len())
                .saturating_add(own)
        })
    }
}

impl<'a> IntoIterator for DatagramList<'a> {
    type Item = IndicatedDatagram<'a>;
    type IntoIter = Datagrams<'a>;

    fn into_iter(self) -> Datagrams<'a> {
        self.iter()
    }
}

impl fmt::Debug for DatagramList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// The datagrams of a [`DatagramList`].
pub struct Datagrams<'a> {
    next: Option<NonNull<WSK_DATAGRAM_INDICATION>>,
    valid: PhantomData<&'a [u8]>,
}

impl<'a> Iterator for Datagrams<'a> {
    type Item = IndicatedDatagram<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        let here = self.next?;
        // SAFETY: a member of the list, which stays (the invariant of `DatagramList`).
        let indication = unsafe { here.as_ref() };
        self.next = NonNull::new(indication.Next);
        Some(IndicatedDatagram { indication })
    }
}

impl fmt::Debug for Datagrams<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagrams").finish_non_exhaustive()
    }
}

/// One datagram in memory of WSK's.
///
/// [WSK_DATAGRAM_INDICATION](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/ns-wsk-_wsk_datagram_indication)
///
/// # Invariants
///
/// As of [`DatagramList`].
#[doc(alias = "WSK_DATAGRAM_INDICATION")]
#[derive(Clone, Copy)]
pub struct IndicatedDatagram<'a> {
    indication: &'a WSK_DATAGRAM_INDICATION,
}

impl<'a> IndicatedDatagram<'a> {
    /// The bytes. None is a datagram without data.
    #[must_use]
    pub fn data(&self) -> Data<'a> {
        // SAFETY: a member of the list stays for `'a` (invariant).
        unsafe { Data::of_one(NonNull::from(&self.indication.Buffer)) }
    }

    /// Who has sent it; `None` if the provider did not say.
    #[must_use]
    pub fn remote(&self) -> Option<SocketAddr> {
        // SAFETY: WSK gives null or a complete address, which stays (invariant).
        unsafe { SocketAddress::read(self.indication.RemoteAddress) }
    }

    /// The messages of its control data: what the socket's options asked for.
    #[must_use]
    pub fn control(&self) -> ControlMessages<'a> {
        ControlMessages::new(self.control_bytes())
    }

    /// What they say.
    #[must_use]
    pub fn ancillary(&self) -> Ancillary {
        Ancillary::parse(self.control_bytes())
    }

    fn control_bytes(&self) -> &'a [u8] {
        let start = self.indication.ControlInfo.cast::<u8>();
        let length = self.indication.ControlInfoLength as usize;
        if start.is_null() {
            return &[];
        }
        // SAFETY: WSK gives so many bytes, which stay (invariant).
        unsafe { core::slice::from_raw_parts(start, length) }
    }
}

impl fmt::Debug for IndicatedDatagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndicatedDatagram")
            .field("data", &self.data())
            .field("remote", &self.remote())
            .finish_non_exhaustive()
    }
}

/// Datagrams that were kept beyond their event. Dropping it gives the memory back to WSK; so does
/// closing the socket, after which the datagrams cannot be read any more.
///
/// IRQL: every method, and dropping it, <= DISPATCH_LEVEL.
///
/// # Invariants
///
/// The list was brought by an event of a datagram socket.
///
/// [PFN_WSK_RELEASE_DATAGRAM_INDICATION_LIST](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_release_datagram_indication_list)
#[doc(alias = "WskRelease")]
pub struct RetainedDatagrams(PoolArc<Retention>);

impl RetainedDatagrams {
    /// Lets `read` see the datagrams. The socket is not closed before it has returned.
    ///
    /// # Errors
    ///
    /// [`Closed`](crate::ErrorKind::Closed): the socket is being closed, and the datagrams are
    /// gone.
    pub fn with<R>(&self, read: impl FnOnce(DatagramList<'_>) -> R) -> Result<R> {
        // SAFETY: retained while `read` runs, and a list of datagrams (invariant).
        self.0
            .read(|list| read(unsafe { DatagramList::new(list.cast()) }))
    }
}

impl Drop for RetainedDatagrams {
    fn drop(&mut self) {
        Retention::release(&self.0);
    }
}

impl fmt::Debug for RetainedDatagrams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetainedDatagrams").finish_non_exhaustive()
    }
}
