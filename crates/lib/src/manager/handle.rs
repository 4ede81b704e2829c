//! What every public proxy has: clones, a way to travel, and an end.

/// Defines a proxy: a [`Proxy`](super::client::Proxy) that knows the types of what is behind it.
macro_rules! handle {
    ($(#[$meta:meta])* $name:ident $(<$($type:ident),+>)?) => {
        $(#[$meta])*
        pub struct $name $(<$($type),+>)? {
            pub(in crate::manager) proxy: $crate::manager::client::Proxy,
            // Sent and shared freely: it holds none of them.
            types: std::marker::PhantomData<fn($($($type),+)?)>,
        }

        impl $(<$($type),+>)? $name $(<$($type),+>)? {
            pub(in crate::manager) fn new(proxy: $crate::manager::client::Proxy) -> Self {
                Self { proxy, types: std::marker::PhantomData }
            }

            /// Ends the object in the manager: from now on every proxy of it gives an error of the kind
            /// [`Closed`](crate::ErrorKind::Closed). Objects that nobody discards live as long as their manager.
            ///
            /// # Errors
            /// When it was discarded before, or the manager is gone.
            pub fn discard(self) -> Result<(), $crate::Error> {
                self.proxy.call(&$crate::manager::protocol::Op::Discard)
            }
        }

        impl $(<$($type),+>)? Clone for $name $(<$($type),+>)? {
            fn clone(&self) -> Self {
                Self::new(self.proxy.clone())
            }
        }

        impl $(<$($type),+>)? std::fmt::Debug for $name $(<$($type),+>)? {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_tuple(stringify!($name)).field(&self.proxy).finish()
            }
        }

        impl $(<$($type),+>)? serde::Serialize for $name $(<$($type),+>)? {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.proxy.serialize(serializer)
            }
        }

        impl<'de, $($($type),+)?> serde::Deserialize<'de> for $name $(<$($type),+>)? {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::manager::client::Proxy::deserialize(deserializer).map(Self::new)
            }
        }
    };
}

pub(super) use handle;
