//! Sets of flags. Each function of WSK has flags of its own, with numbers that mean something else
//! elsewhere: hence a type for each.

/// Makes a type for a set of flags.
macro_rules! flags {
    (
        $(#[$doc:meta])*
        $name:ident { $($(#[$flag_doc:meta])* $flag:ident = $value:expr;)* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
        pub struct $name(u32);

        impl $name {
            /// None of them.
            pub const NONE: Self = Self(0);
            $($(#[$flag_doc])* pub const $flag: Self = Self($value);)*

            /// Any bits, also such as have no name here.
            #[must_use]
            pub const fn from_raw(raw: u32) -> Self {
                Self(raw)
            }

            /// The bits, as C has them.
            #[must_use]
            pub const fn as_raw(self) -> u32 {
                self.0
            }

            /// Whether all of `other` are set.
            #[must_use]
            pub const fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// Whether any of `other` are set.
            #[must_use]
            pub const fn intersects(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }

            /// Those of both.
            #[must_use]
            pub const fn union(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl core::ops::BitOr for $name {
            type Output = Self;

            fn bitor(self, other: Self) -> Self {
                self.union(other)
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                let mut list = f.debug_list();
                let mut rest = self.0;
                $(if $value & rest != 0 && self.contains(Self::$flag) {
                    list.entry(&format_args!("{}", stringify!($flag)));
                    rest &= !$value;
                })*
                if rest != 0 {
                    list.entry(&format_args!("{rest:#x}"));
                }
                list.finish()
            }
        }
    };
}

flags! {
    /// How `WskSend` sends.
    ///
    /// ```
    /// use wsk::SendFlags;
    ///
    /// let flags = SendFlags::NO_DELAY | SendFlags::OUT_OF_BAND;
    /// assert!(flags.contains(SendFlags::NO_DELAY));
    /// assert_eq!(format!("{flags:?}"), "[OUT_OF_BAND, NO_DELAY]");
    /// ```
    SendFlags {
        /// As urgent data. Only in the header, not in the documentation: expect
        /// [`NotSupported`](crate::ErrorKind::NotSupported). `WSK_FLAG_OOB`
        OUT_OF_BAND = wsk_sys::WSK_FLAG_OOB;
        /// At once, without waiting for more data that could go with it. `WSK_FLAG_NODELAY`
        NO_DELAY = wsk_sys::WSK_FLAG_NODELAY;
    }
}

flags! {
    /// What WSK says about datagrams that have arrived.
    ///
    /// ```
    /// use wsk::DatagramFlags;
    ///
    /// fn is_for_many(flags: DatagramFlags) -> bool {
    ///     flags.intersects(DatagramFlags::BROADCAST | DatagramFlags::MULTICAST)
    /// }
    /// assert!(is_for_many(DatagramFlags::MULTICAST));
    /// ```
    DatagramFlags {
        /// The datagram was longer than the buffer; the rest is lost. `MSG_TRUNC`
        TRUNCATED = wsk_sys::MSG_TRUNC;
        /// There was more control data than there is room for. `MSG_CTRUNC`
        CONTROL_TRUNCATED = wsk_sys::MSG_CTRUNC;
        /// It was sent to a broadcast address. `MSG_BCAST`
        BROADCAST = wsk_sys::MSG_BCAST;
        /// It was sent to a multicast group. `MSG_MCAST`
        MULTICAST = wsk_sys::MSG_MCAST;
    }
}

#[cfg(test)]
mod tests {
    use super::DatagramFlags;

    #[test]
    fn flags_of_datagrams_are_those_of_the_header() {
        let flags = DatagramFlags::CONTROL_TRUNCATED | DatagramFlags::TRUNCATED;
        assert_eq!(flags.as_raw(), wsk_sys::MSG_CTRUNC | wsk_sys::MSG_TRUNC);
        let received = DatagramFlags::from_raw(wsk_sys::MSG_CTRUNC | wsk_sys::MSG_BCAST);
        assert!(received.contains(DatagramFlags::CONTROL_TRUNCATED));
        assert!(!received.contains(flags) && received.intersects(flags));
    }
}
