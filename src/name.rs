//! Resolving names: of hosts and services to addresses, and back [wsk 11].
//!
//! The requests are operations like all others. What WSK reads and writes meanwhile, and who frees
//! a list that nobody wants any more, is in `op::names`.

// UNSAFETY: reads the list that WSK gives by address.
#![expect(unsafe_code, reason = "a list that WSK gives by address")]

use core::{fmt, iter::FusedIterator, marker::PhantomData, net::SocketAddr, ptr::NonNull};

use wsk_sys::{ADDRINFOEXW, NS_ALL};

mod flags;

pub use self::flags::{AddressInfoFlags, NameInfoFlags};

use crate::{
    addr::{AddressFamily, SocketAddress},
    irql::Passive,
    mem::{boxed::PoolBox, wide::WideStr},
    op::{
        calls::names::{self, GET_ADDRESS_INFO, GET_NAME_INFO},
        names::{Addresses, NameQuery, Question},
        operation::{Ended, Finish, Operation},
        slot::{Payload, Refusal},
    },
    owner::{Owner, Process, Thread},
    registration::Provider,
    status::{Error, Result, Status},
    transport::{Protocol, SocketType},
};

/// Asks for addresses: `Result<AddressInfoList>`.
#[derive(Debug)]
pub enum GetAddressInfo {}

/// Asks for names: `Result<NameInfo>`.
#[derive(Debug)]
pub enum GetNameInfo {}

impl Provider {
    /// The addresses of a host, or of this one if `node` is `None`, with the port of `service`. One
    /// of the two has to be there. A node may be an address in digits, a service a port in digits.
    ///
    /// The texts are copied. Dropping the operation, or a deadline, cancels the query; a list that
    /// arrives all the same is freed when the next query begins, or by
    /// [`deregister`](crate::Registration::deregister). [`close_sockets`] cancels it too.
    ///
    /// IRQL: PASSIVE_LEVEL; awaiting or dropping the operation <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`NameNotFound`](crate::ErrorKind::NameNotFound) if nothing has the name or fits the hints;
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for a text with a NUL, or of more
    /// than 32766 units of UTF-16, or if there is neither a node nor a service;
    /// [`NotSupported`](crate::ErrorKind::NotSupported) for flags that need larger hints;
    /// [`NotReady`](crate::ErrorKind::NotReady) once deregistration has begun;
    /// [`Closed`](crate::ErrorKind::Closed) once all sockets are being closed;
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory); or what `WskGetAddressInfo` says.
    ///
    /// ```no_run
    /// use core::time::Duration;
    /// use core::net::{Ipv6Addr, SocketAddr};
    /// use wsk::{AddressFamily, AddressHints, ConnectionSocket, Passive, Provider, SocketType};
    ///
    /// fn connect(provider: &Provider, passive: Passive) -> wsk::Result<ConnectionSocket> {
    ///     let hints = AddressHints::new()
    ///         .family(AddressFamily::Inet6)
    ///         .socket_type(SocketType::STREAM);
    ///     let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
    ///     let query =
    ///         provider.get_address_info(Some("server.example"), Some("7"), &hints, passive);
    ///     let found = query.wait_timeout(Duration::from_secs(5), passive)?;
    ///     for address in found.iter().filter_map(|info| info.address()) {
    ///         let opening = ConnectionSocket::connect_from(provider, any, address);
    ///         if let Ok(connection) = opening.wait(passive) {
    ///             return Ok(connection);
    ///         }
    ///     }
    ///     Err(wsk::Error::new("connect", wsk::Status::HOST_UNREACHABLE))
    /// }
    /// ```
    ///
    /// [PFN_WSK_GET_ADDRESS_INFO](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_address_info)
    ///
    /// [`close_sockets`]: crate::Registration::close_sockets
    #[doc(alias = "WskGetAddressInfo")]
    pub fn get_address_info(
        &self,
        node: Option<&str>,
        service: Option<&str>,
        hints: &AddressHints,
        passive: Passive,
    ) -> Operation<GetAddressInfo> {
        let question = hints.as_raw().map(|raw| Question {
            node,
            service,
            name_space: hints.name_space,
            hints: raw,
            owner: hints.owner.clone(),
        });
        let asked = question.and_then(|question| Addresses::ask(self, question, passive));
        let asked = asked.map_err(|error| Error::new(GET_ADDRESS_INFO, error.status()).into());
        Operation::new(asked.and_then(|addresses| names::get_address_info(addresses, passive)))
    }

    /// The names of a host and of the service at its port.
    ///
    /// IRQL: PASSIVE_LEVEL; awaiting or dropping the operation <= DISPATCH_LEVEL.
    ///
    /// # Errors
    ///
    /// [`NameNotFound`](crate::ErrorKind::NameNotFound) if the address has no name and
    /// [`NAME_REQUIRED`](NameInfoFlags::NAME_REQUIRED) is set;
    /// [`BufferTooSmall`](crate::ErrorKind::BufferTooSmall) if a name has more than 1024 units of
    /// UTF-16, or a service more than 31;
    /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for flags that WSK does not know;
    /// [`Closed`](crate::ErrorKind::Closed) once all sockets are being closed;
    /// [`OutOfMemory`](crate::ErrorKind::OutOfMemory); or what `WskGetNameInfo` says.
    ///
    /// ```no_run
    /// # async fn f(provider: &wsk::Provider, passive: wsk::Passive) -> wsk::Result<()> {
    /// let address = ([198, 51, 100, 7], 443).into();
    /// let flags = wsk::NameInfoFlags::empty();
    /// let names = provider.get_name_info(address, flags, passive).await?;
    /// assert_eq!(names.service(), "https");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [PFN_WSK_GET_NAME_INFO](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_get_name_info)
    #[doc(alias = "WskGetNameInfo")]
    pub fn get_name_info(
        &self,
        address: SocketAddr,
        hints: impl Into<NameHints>,
        passive: Passive,
    ) -> Operation<GetNameInfo> {
        let NameHints { flags, owner } = hints.into();
        let query = NameQuery::ask(self, flags.bits(), owner);
        let query = query.map_err(|error| Error::new(GET_NAME_INFO, error.status()).into());
        Operation::new(query.and_then(|query| names::get_name_info(query, address, passive)))
    }
}

/// Which addresses are looked for: see [`Provider::get_address_info`]. Any, by default.
///
/// ```no_run
/// use wsk::{AddressFamily, AddressHints, AddressInfoFlags, Protocol, SocketType};
///
/// let for_a_listener = AddressHints::new()
///     .flags(AddressInfoFlags::PASSIVE)
///     .family(AddressFamily::Inet6)
///     .socket_type(SocketType::STREAM)
///     .protocol(Protocol::TCP);
/// # drop(for_a_listener);
/// ```
///
/// [ADDRINFOEXW](https://learn.microsoft.com/windows/win32/api/ws2def/ns-ws2def-addrinfoexw)
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AddressHints {
    flags: AddressInfoFlags,
    family: Option<AddressFamily>,
    socket_type: Option<SocketType>,
    protocol: Option<Protocol>,
    /// `NS_ALL` is zero.
    name_space: u32,
    owner: Owner,
}

const _: () = assert!(NS_ALL == 0);

impl AddressHints {
    /// Any address.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets flags, in place of those before.
    pub fn flags(mut self, flags: AddressInfoFlags) -> Self {
        self.flags = flags;
        self
    }

    /// Only addresses of this family.
    pub fn family(mut self, family: AddressFamily) -> Self {
        self.family = Some(family);
        self
    }

    /// What the addresses are for; each element of the list says so.
    pub fn socket_type(mut self, socket_type: SocketType) -> Self {
        self.socket_type = Some(socket_type);
        self
    }

    /// What the addresses are for; each element of the list says so.
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.protocol = Some(protocol);
        self
    }

    /// Asks the providers of one name space only, such as `NS_DNS` (12), instead of all.
    pub fn name_space(mut self, name_space: u32) -> Self {
        self.name_space = name_space;
        self
    }

    fn as_raw(&self) -> Result<ADDRINFOEXW> {
        if self.flags.need_larger_hints() {
            return Err(Error::new(GET_ADDRESS_INFO, Status::NOT_SUPPORTED));
        }
        let protocol = self.protocol.map_or(0, Protocol::as_raw);
        Ok(ADDRINFOEXW {
            ai_flags: self.flags.bits().cast_signed(),
            // `AF_UNSPEC` is zero.
            ai_family: self.family.map_or(0, |family| family.as_raw().into()),
            ai_socktype: self.socket_type.map_or(0, |kind| kind.as_raw().into()),
            ai_protocol: protocol.cast_signed(),
            ..ADDRINFOEXW::default()
        })
    }
}

/// Which names are looked for, and for whom: see [`Provider::get_name_info`]. Flags alone are hints
/// too.
///
/// ```no_run
/// # fn f(provider: &wsk::Provider, process: &wsk::Process, passive: wsk::Passive) {
/// use wsk::{NameHints, NameInfoFlags};
///
/// let hints = NameHints::from(NameInfoFlags::NAME_REQUIRED).owner(process);
/// let names = provider.get_name_info(([198, 51, 100, 7], 443).into(), hints, passive);
/// # drop(names);
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct NameHints {
    flags: NameInfoFlags,
    owner: Owner,
}

impl From<NameInfoFlags> for NameHints {
    fn from(flags: NameInfoFlags) -> Self {
        Self {
            flags,
            ..Self::default()
        }
    }
}

macro_rules! owners {
    ($hints:ident) => {
        impl $hints {
            /// Asks on behalf of a process, which must not be impersonated at that time [wsk 11.2].
            pub fn owner(mut self, process: &Process) -> Self {
                self.owner.process = Some(process.clone());
                self
            }

            /// Asks on behalf of a process, in the security context of a thread [wsk 11.2].
            pub fn owner_thread(mut self, process: &Process, thread: &Thread) -> Self {
                self.owner.thread = Some(thread.clone());
                self.owner(process)
            }
        }
    };
}

owners!(AddressHints);
owners!(NameHints);

/// The addresses that were found.
///
/// The list is WSK's. Dropping this gives it back; above PASSIVE_LEVEL, or in a callback of a
/// socket, not before the next query begins or the driver deregisters. It keeps the registration
/// from ending.
///
/// IRQL: reading and dropping <= DISPATCH_LEVEL.
///
/// [PFN_WSK_FREE_ADDRESS_INFO](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_free_address_info)
#[doc(alias = "WskFreeAddressInfo")]
pub struct AddressInfoList(Addresses);

impl AddressInfoList {
    /// Goes through the addresses, in the order in which WSK advises to try them.
    #[must_use]
    pub fn iter(&self) -> AddressInfos<'_> {
        AddressInfos {
            next: self.0.first(),
            list: PhantomData,
        }
    }
}

impl<'list> IntoIterator for &'list AddressInfoList {
    type Item = AddressInfo<'list>;
    type IntoIter = AddressInfos<'list>;

    fn into_iter(self) -> AddressInfos<'list> {
        self.iter()
    }
}

impl fmt::Debug for AddressInfoList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self).finish()
    }
}

/// Goes through an [`AddressInfoList`].
///
/// # Invariants
///
/// `next` is an element of the list, which stays unchanged for `'list`.
#[derive(Clone, Debug)]
pub struct AddressInfos<'list> {
    next: Option<NonNull<ADDRINFOEXW>>,
    list: PhantomData<&'list AddressInfoList>,
}

// SAFETY: a shared borrow of the list, which nobody changes.
unsafe impl Send for AddressInfos<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for AddressInfos<'_> {}

impl<'list> Iterator for AddressInfos<'list> {
    type Item = AddressInfo<'list>;

    fn next(&mut self) -> Option<AddressInfo<'list>> {
        // SAFETY: an element of the list (invariant), which WSK made valid [wsk 11.1].
        let element: &'list ADDRINFOEXW = unsafe { self.next?.as_ref() };
        self.next = NonNull::new(element.ai_next);
        Some(AddressInfo(element))
    }
}

impl FusedIterator for AddressInfos<'_> {}

/// One address of an [`AddressInfoList`].
///
/// # Invariants
///
/// An element of a list of WSK's, which stays unchanged for `'list`.
#[derive(Clone, Copy)]
pub struct AddressInfo<'list>(&'list ADDRINFOEXW);

// SAFETY: a shared borrow of the list, which nobody changes.
unsafe impl Send for AddressInfo<'_> {}
// SAFETY: as for `Send`.
unsafe impl Sync for AddressInfo<'_> {}

impl<'list> AddressInfo<'list> {
    /// The address and port; `None` for another family than those of IP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        let start = NonNull::new(self.0.ai_addr)?.cast::<u8>();
        // SAFETY: an address of this length (invariant).
        let bytes = unsafe { core::slice::from_raw_parts(start.as_ptr(), self.0.ai_addrlen) };
        SocketAddress::read_from(bytes)
    }

    /// The address family, such as `AF_INET`.
    #[must_use]
    pub const fn family(&self) -> i32 {
        self.0.ai_family
    }

    /// What the address is for; `None` if it is for any type.
    #[must_use]
    pub fn socket_type(&self) -> Option<SocketType> {
        let number = u16::try_from(self.0.ai_socktype).ok()?;
        (number != 0).then_some(SocketType::from_raw(number))
    }

    /// What the address is for; `None` if it is for any protocol.
    #[must_use]
    pub fn protocol(&self) -> Option<Protocol> {
        let number = self.0.ai_protocol.cast_unsigned();
        (number != 0).then_some(Protocol::from_raw(number))
    }

    /// The canonical name of the node: of the first element, if it was
    /// [asked for](AddressInfoFlags::CANONICAL_NAME).
    #[must_use]
    pub fn canonical_name(&self) -> Option<&'list WideStr> {
        // SAFETY: null or a terminated text of the list's (invariant).
        unsafe { WideStr::terminated(self.0.ai_canonname) }
    }
}

impl fmt::Debug for AddressInfo<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AddressInfo")
            .field("address", &self.address())
            .field("socket_type", &self.socket_type())
            .field("protocol", &self.protocol())
            .field("canonical_name", &self.canonical_name())
            .finish()
    }
}

/// The names that were found: see [`Provider::get_name_info`].
pub struct NameInfo(PoolBox<NameQuery>);

impl NameInfo {
    /// The name of the host.
    #[must_use]
    pub fn node(&self) -> &WideStr {
        self.0.node.text()
    }

    /// The name of the service.
    #[must_use]
    pub fn service(&self) -> &WideStr {
        self.0.service.text()
    }
}

impl fmt::Debug for NameInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NameInfo")
            .field("node", &self.node())
            .field("service", &self.service())
            .finish()
    }
}

impl Finish for GetAddressInfo {
    const CALL: &'static str = GET_ADDRESS_INFO;
    type Output = Result<AddressInfoList>;

    fn finish(ended: Ended) -> Self::Output {
        let Payload::Addresses(mut addresses) = ended.finished.payload else {
            unreachable!("a query is lent what it asks");
        };
        addresses.answered();
        ended.result?;
        // Else WSK said that it found something, but gave nothing.
        let empty = Error::new(Self::CALL, Status::UNSUCCESSFUL);
        addresses.first().ok_or(empty)?;
        Ok(AddressInfoList(addresses))
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

impl Finish for GetNameInfo {
    const CALL: &'static str = GET_NAME_INFO;
    type Output = Result<NameInfo>;

    fn finish(ended: Ended) -> Self::Output {
        let Payload::Names(mut query) = ended.finished.payload else {
            unreachable!("a query is lent what it asks");
        };
        query.answered();
        ended.result.map(|_| NameInfo(query))
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}
