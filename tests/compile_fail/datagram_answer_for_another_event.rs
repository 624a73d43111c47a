//! The answer to one event of datagrams is no answer to another [wsk 8.5].
//!
//! error: lifetime may not live long enough

pub fn answer<'first, 'second>(
    first: wsk::DatagramIndication<'first>,
    second: wsk::DatagramIndication<'second>,
) -> wsk::Received<'second> {
    #[cfg(misuse)]
    return first.consume();
    drop(first);
    second.consume()
}
