//! MDLs of the host's kernel.

use super::layout::Mdl;
pub(crate) use super::own_mdl::OwnMdl;

impl Mdl {
    /// The host may not mark those that describe memory.
    #[expect(clippy::unused_self, reason = "as the simulated kernel's")]
    pub(crate) fn is_usable(&self) -> bool {
        true
    }
}
