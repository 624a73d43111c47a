//! Options and control operations: what every socket has, and what connections have.

use core::{fmt, marker::PhantomData};

use super::{
    basic::BasicSocket, connection::ConnectionSocket, datagram::DatagramSocket,
    listen::ListenSocket, request::SetOption, stream::StreamSocket,
};
use crate::{
    ioctl,
    mem::buffer::Buffer,
    op::{
        calls::{
            Started,
            control::{self, Control},
        },
        completion::given_descriptor,
        core::{CoreRef, Stage},
        operation::{Ended, Finish, Operation},
        slot::{Arguments, Payload, Refusal},
    },
    option::{Codec, Readable, SocketOption, Takes, Writable, codec},
    security::SecurityDescriptor,
    status::{Error, Result, Status},
};

const CALL: &str = "WskControlSocket";

/// Reads an option: `Result<C::Value>`.
pub struct GetOption<C>(PhantomData<C>);

impl<C> fmt::Debug for GetOption<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GetOption")
    }
}

impl<C: Codec> Finish for GetOption<C> {
    const CALL: &'static str = CALL;
    type Output = Result<C::Value>;

    fn finish(ended: Ended) -> Self::Output {
        let value = codec::decode::<C>(&ended.finished.extra, ended.result?);
        value.ok_or(Error::new(CALL, Status::INVALID_BUFFER_SIZE))
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

/// Writes what a buffer has: `(Result<()>, Buffer)`, and the buffer as it was.
#[derive(Debug)]
pub enum Write {}

/// Reads into a buffer: `(Result<usize>, Buffer)`, the count of bytes read and the buffer, filled
/// with them.
#[derive(Debug)]
pub enum Read {}

/// Writes and reads: a [`Controlled`].
#[derive(Debug)]
pub enum Ioctl {}

/// What comes back from a control operation.
#[derive(Debug)]
pub struct Controlled {
    /// The count of bytes in the output.
    pub result: Result<usize>,
    /// How many bytes the output needs, if the provider said so: then it was too short.
    pub needed: Option<usize>,
    /// The input as it was, if there is one.
    pub input: Option<Buffer>,
    /// The output, filled with what was read, if there is one.
    pub output: Option<Buffer>,
}

impl Finish for Ioctl {
    const CALL: &'static str = CALL;
    type Output = Controlled;

    fn finish(ended: Ended) -> Self::Output {
        let needed = usize::try_from(ended.finished.extra[0]).ok();
        let mut controlled = controlled(ended.result, ended.finished.payload);
        controlled.needed = needed.filter(|needed| *needed > 0 && ended.result.is_err());
        fill(controlled)
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        controlled(Err(refusal.error), refusal.payload)
    }
}

/// What has come back, the output as it was.
fn controlled(result: Result<usize>, payload: Payload) -> Controlled {
    let Payload::Control { input, output } = payload else {
        unreachable!("a control operation is lent its buffers");
    };
    Controlled {
        result,
        needed: None,
        input,
        output,
    }
}

/// The output is filled as far as it was written.
fn fill(mut controlled: Controlled) -> Controlled {
    if let Some(output) = &mut controlled.output {
        let filled = output.set_filled(controlled.result.unwrap_or(0));
        controlled.result = controlled.result.and_then(|count| filled.map(|()| count));
    }
    controlled
}

impl Finish for Write {
    const CALL: &'static str = CALL;
    type Output = (Result<()>, Buffer);

    fn finish(ended: Ended) -> Self::Output {
        written(ended.result.map(|_| ()), ended.finished.payload)
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        written(Err(refusal.error), refusal.payload)
    }
}

fn written(result: Result<()>, payload: Payload) -> (Result<()>, Buffer) {
    match payload {
        Payload::Control {
            input: Some(input), ..
        } => (result, input),
        _ => unreachable!("writing is lent an input"),
    }
}

impl Finish for Read {
    const CALL: &'static str = CALL;
    type Output = (Result<usize>, Buffer);

    fn finish(ended: Ended) -> Self::Output {
        read(fill(controlled(ended.result, ended.finished.payload)))
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        read(controlled(Err(refusal.error), refusal.payload))
    }
}

fn read(controlled: Controlled) -> (Result<usize>, Buffer) {
    match controlled.output {
        Some(output) => (controlled.result, output),
        None => unreachable!("reading is lent an output"),
    }
}

/// Reads who may share the address: `Result<SecurityDescriptor>`.
#[derive(Debug)]
pub enum QuerySecurity {}

impl Finish for QuerySecurity {
    const CALL: &'static str = CALL;
    type Output = Result<SecurityDescriptor>;

    fn finish(ended: Ended) -> Self::Output {
        ended.result?;
        let Payload::DescriptorRoom(room) = ended.finished.payload else {
            unreachable!("there is room for what it gives");
        };
        let cached = given_descriptor(room, &ended.finished.extra);
        let cached = cached.ok_or(Error::new(CALL, Status::UNSUCCESSFUL))?;
        Ok(SecurityDescriptor { cached })
    }

    fn refuse(refusal: Refusal) -> Self::Output {
        Err(refusal.error)
    }
}

/// Sets who may share the address, unless the socket is bound.
fn set_security(core: &CoreRef, descriptor: &SecurityDescriptor) -> Started {
    if core.is_at_least(Stage::Bound) {
        return Err(Error::new(CALL, Status::INVALID_DEVICE_STATE).into());
    }
    control::set_security(core, descriptor.cached.clone())
}

/// Sets an option, unless the socket is too far for that.
pub(super) fn set_option<C: Codec, On, A>(
    core: &CoreRef,
    option: &SocketOption<C, On, A>,
    value: C::Value,
) -> Started {
    let too_late = |stage| core.is_at_least(stage);
    if option.moment().ends_with().is_some_and(too_late) {
        return Err(Error::new(CALL, Status::INVALID_DEVICE_STATE).into());
    }
    let encoded = C::encode(value).ok_or(Error::new(CALL, Status::INVALID_PARAMETER))?;
    let mut arguments = Arguments::none();
    arguments.extra = encoded.extra;
    arguments.extra_length = encoded.length;
    control::put(core, option.to_set(), arguments)
}

/// Refuses what is not known to hold plain bytes only.
fn check_plain(plain: bool, input: Option<Buffer>, output: Option<Buffer>) -> Checked {
    if plain {
        return Ok((input, output));
    }
    Err(Refusal {
        error: Error::new(CALL, Status::INVALID_PARAMETER),
        payload: Payload::Control { input, output },
    })
}

type Checked = core::result::Result<(Option<Buffer>, Option<Buffer>), Refusal>;

fn exchange(core: &CoreRef, control: Control, checked: Checked) -> Started {
    checked.and_then(|(input, output)| control::exchange(core, control, input, output))
}

macro_rules! controls {
    ($($socket:ident)*) => {$(
        /// Options and control operations.
        impl $socket {
            /// Sets an option: see [`option`](crate::option).
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// [`InvalidState`](crate::ErrorKind::InvalidState): too late, see
            /// [`SocketOption::moment`]; [`InvalidParameter`](crate::ErrorKind::InvalidParameter)
            /// for a value that C cannot express; [`NotSupported`](crate::ErrorKind::NotSupported)
            /// by this Windows or transport; or what `WskControlSocket` says.
            ///
            /// [PFN_WSK_CONTROL_SOCKET](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket)
            #[doc(alias = "WskControlSocket")]
            #[doc(alias = "WskSetOption")]
            pub fn set_option<C: Codec, On, A: Writable>(
                &self,
                option: &SocketOption<C, On, A>,
                value: C::Value,
            ) -> Operation<SetOption>
            where
                Self: Takes<On>,
            {
                Operation::new(set_option(self.socket.core(), option, value))
            }

            /// Has a socket of IPv6 serve IPv4 as well; before the bind. See
            /// [`dual_stack`](crate::dual_stack).
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// As [`set_option`](Self::set_option); a socket of IPv4 does not have the option.
            ///
            /// [IPV6_V6ONLY](https://learn.microsoft.com/windows/win32/winsock/ipproto-ipv6-socket-options)
            #[doc(alias = "IPV6_V6ONLY")]
            pub fn set_dual_stack(&self) -> Operation<SetOption> {
                self.set_option(&crate::option::ipv6::V6_ONLY, false)
            }

            /// Reads an option: see [`option`](crate::option).
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// [`NotSupported`](crate::ErrorKind::NotSupported) by this Windows or transport; or
            /// what `WskControlSocket` says.
            ///
            /// [PFN_WSK_CONTROL_SOCKET](https://learn.microsoft.com/windows-hardware/drivers/ddi/wsk/nc-wsk-pfn_wsk_control_socket)
            #[doc(alias = "WskGetOption")]
            pub fn option<C: Codec, On, A: Readable>(
                &self,
                option: &SocketOption<C, On, A>,
            ) -> Operation<GetOption<C>>
            where
                Self: Takes<On>,
            {
                let core = self.socket.core();
                Operation::new(control::ask(core, option.to_get(), C::SIZE))
            }

            /// Sets any option of `SOL_SOCKET`, IP, IPv6, TCP or UDP to the filled part of `value`.
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for an option of another
            /// level, or one whose value contains addresses; or what `WskControlSocket` says. The
            /// buffer always comes back.
            pub fn set_raw_option(
                &self,
                level: u32,
                name: u32,
                value: Buffer,
            ) -> Operation<Write> {
                let plain = ioctl::is_plain_option(level, name);
                let checked = check_plain(plain, Some(value), None);
                let control = Control::set(level, name);
                Operation::new(exchange(self.socket.core(), control, checked))
            }

            /// Reads any option of `SOL_SOCKET`, IP, IPv6, TCP or UDP into `output`.
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// As [`set_raw_option`](Self::set_raw_option).
            pub fn raw_option(&self, level: u32, name: u32, output: Buffer) -> Operation<Read> {
                let plain = ioctl::is_plain_option(level, name);
                let checked = check_plain(plain, None, Some(output));
                let control = Control::get(level, name);
                Operation::new(exchange(self.socket.core(), control, checked))
            }

            /// Any control operation that takes and gives plain bytes: the filled part of `input`,
            /// and as many as `output` holds.
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// [`InvalidParameter`](crate::ErrorKind::InvalidParameter) for one that is not known
            /// to, that needs PASSIVE_LEVEL, or no IRP; or what `WskControlSocket` says. The
            /// buffers always come back.
            #[doc(alias = "WskIoctl")]
            pub fn raw_ioctl(
                &self,
                code: u32,
                input: Option<Buffer>,
                output: Option<Buffer>,
            ) -> Operation<Ioctl> {
                let checked = check_plain(ioctl::is_plain(code), input, output);
                let control = Control::ioctl(code);
                Operation::new(exchange(self.socket.core(), control, checked))
            }
        }
    )*};
}

controls!(BasicSocket ConnectionSocket DatagramSocket ListenSocket StreamSocket);

macro_rules! securities {
    ($($socket:ident)*) => {$(
        /// Who may share the address.
        impl $socket {
            /// Sets who may share the socket's address, before it is bound.
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// [`InvalidState`](crate::ErrorKind::InvalidState) after the bind, or what
            /// `WskControlSocket` says.
            ///
            /// [SO_WSK_SECURITY](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-security)
            #[doc(alias = "SO_WSK_SECURITY")]
            pub fn set_security(&self, descriptor: &SecurityDescriptor) -> Operation<SetOption> {
                Operation::new(set_security(self.socket.core(), descriptor))
            }

            /// Who may share the socket's address: to be used for other sockets of this
            /// registration. Completes soon, and is not cancelled before.
            ///
            /// IRQL: <= DISPATCH_LEVEL.
            ///
            /// # Errors
            ///
            /// What `WskControlSocket` says.
            ///
            /// [SO_WSK_SECURITY](https://learn.microsoft.com/windows-hardware/drivers/network/so-wsk-security)
            pub fn security(&self) -> Operation<QuerySecurity> {
                Operation::new(control::security(self.socket.core()))
            }
        }
    )*};
}

securities!(ConnectionSocket DatagramSocket ListenSocket StreamSocket);
