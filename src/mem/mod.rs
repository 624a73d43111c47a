//! Memory: tagged nonpaged pool, and the buffers that requests carry.

pub(crate) mod arc;
pub(crate) mod buffer;
pub(crate) mod pool;
pub(crate) mod slice;
