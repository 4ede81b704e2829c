//! Objects of the user's types in a manager.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::functions::{Method, calling};
use super::handle::handle;
use super::protocol::{Blob, Op};
use crate::error::Error;

handle! {
    /// An object of a type of the program's own that lives in a [`Manager`](super::Manager). What Python does with
    /// `BaseManager.register`.
    ///
    /// The object never leaves the manager, so its type need not be serializable; only arguments and results of its
    /// methods are. [`call`](Self::call) calls any of them; [`#[ganger::managed]`](macro@crate::managed) gives this proxy
    /// the methods of the type under their own names.
    ///
    /// ```
    /// use ganger::Manager;
    /// use ganger::manager::Managed;
    ///
    /// struct Account { balance: i64 }
    ///
    /// #[ganger::managed]
    /// impl Account {
    ///     fn open(balance: i64) -> Self {
    ///         Self { balance }
    ///     }
    ///
    ///     fn withdraw(&mut self, amount: i64) -> Result<i64, String> {
    ///         if amount > self.balance {
    ///             return Err(format!("there are only {}", self.balance));
    ///         }
    ///         self.balance -= amount;
    ///         Ok(self.balance)
    ///     }
    /// }
    ///
    /// let manager = Manager::new()?;
    /// let account: Managed<Account> = manager.object(Account::open, (100,))?;
    /// assert_eq!(account.withdraw(30)?, 70);
    /// assert_eq!(account.withdraw(80).expect_err("too much").to_string(), "there are only 70");
    /// assert_eq!(account.call(|account: &mut Account| account.balance, ())?, 70);
    /// # Ok::<(), ganger::Error>(())
    /// ```
    Managed<T>
}

impl<T: 'static> Managed<T> {
    /// Calls a function with the object, in the manager; returns what it returns.
    ///
    /// Nobody else is served meanwhile, so it should be short, and it cannot use the manager. When it panics the object
    /// stays as the panic has left it.
    ///
    /// # Errors
    /// [`Remote`](crate::ErrorKind::Remote) with its text when the function failed. When the manager is gone
    /// ([`Disconnected`](crate::ErrorKind::Disconnected)), the object was discarded ([`Closed`](crate::ErrorKind::Closed)), arguments or result
    /// cannot be turned into bytes or back, or a message would be too large.
    pub fn call<F, Args, R>(&self, function: F, args: Args) -> Result<R, Error>
    where
        F: Method<T, Args, R>,
        Args: Serialize + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        let function = self.proxy.function(calling::<T, Args, R, F>(function))?;
        self.proxy.call(&Op::Call(function, Blob(&self.proxy.bytes(&args)?)))
    }
}
