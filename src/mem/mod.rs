//! Memory: tagged nonpaged pool, and the buffers that requests carry, alone or in a chain.

pub(crate) mod arc;
pub(crate) mod boxed;
pub(crate) mod buffer;
pub(crate) mod chain;
pub(crate) mod pool;
pub(crate) mod slice;
pub(crate) mod wide;
