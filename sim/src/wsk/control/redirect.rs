//! Connections that a filter of the Windows Filtering Platform has redirected to the driver: the
//! opaque bytes that a proxy takes from the one connection and gives to the other.
//!
//! There is no filter here: a test says what accepted connections shall have. What a driver hands
//! on for an outgoing connection has no effect.

use wdk_sys::{STATUS_INVALID_PARAMETER, STATUS_NOT_FOUND};

use super::super::call::Entry;
use super::{Effect, Operation, Outcome};
use crate::sim::lock;

/// What a filter has left for the one who gets a connection that it redirected.
pub(in super::super) struct Redirect {
    records: Vec<u8>,
    context: Vec<u8>,
}

impl Redirect {
    pub(super) fn new(records: &[u8], context: &[u8]) -> Self {
        Self {
            records: records.to_vec(),
            context: context.to_vec(),
        }
    }
}

fn of_connection(entry: &Entry, part: fn(&Redirect) -> &Vec<u8>) -> Outcome {
    let redirect = lock(&entry.socket.state).redirect.clone();
    let redirect = redirect.ok_or(STATUS_NOT_FOUND)?;
    Ok(Effect::Done(part(&redirect).clone()))
}

/// `SIO_QUERY_WFP_CONNECTION_REDIRECT_RECORDS`.
pub(super) fn records(entry: &Entry, _operation: &Operation) -> Outcome {
    of_connection(entry, |redirect| &redirect.records)
}

/// `SIO_QUERY_WFP_CONNECTION_REDIRECT_CONTEXT`.
pub(super) fn context(entry: &Entry, _operation: &Operation) -> Outcome {
    of_connection(entry, |redirect| &redirect.context)
}

/// `SIO_SET_WFP_CONNECTION_REDIRECT_RECORDS`.
pub(super) fn set(_entry: &Entry, operation: &Operation) -> Outcome {
    let given = operation.input().is_some();
    let effect = given.then(|| Effect::Done(Vec::new()));
    effect.ok_or(STATUS_INVALID_PARAMETER)
}
