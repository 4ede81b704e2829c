//! Calls with a value that all workers share.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Pool;
use crate::TaskError;
use crate::broadcast::{broadcast, broadcast_bytes};
use crate::task::Returns;

impl Pool {
    /// As [`map`](Self::map), with a value that is sent to each worker once, however many items there are: `task` gets a
    /// reference to it beside the item. See [`broadcast`](crate::broadcast()), which does this for all other methods. mpire's `shared_objects`.
    ///
    /// # Errors
    /// As of `map`.
    ///
    /// ```
    /// let pool = ganger::Pool::new(2)?;
    /// let table: Vec<u64> = (0..100).map(|x| x * x).collect();
    /// let sums: Vec<u64> = pool.map_with(&table, |table: &Vec<u64>, end: usize| table[..end].iter().sum::<u64>(), [2, 4])?;
    /// assert_eq!(sums, [1, 14]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_with<S, F, A, O, R>(
        &self,
        shared: &S,
        task: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, TaskError>
    where
        S: Serialize + DeserializeOwned + Send + Sync + 'static,
        F: Fn(&S, A) -> O + Copy + Send + Sync + 'static,
        O: Returns<R>,
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        self.map(broadcast(task, shared), items)
    }

    /// As [`map_with`](Self::map_with), for bytes, of which there is one copy in memory for all workers. See
    /// [`broadcast_bytes`](crate::broadcast_bytes).
    ///
    /// # Errors
    /// As of [`map`](Self::map).
    ///
    /// ```
    /// let pool = ganger::Pool::new(2)?;
    /// let image = vec![7_u8; 1 << 20];
    /// let rows = pool.map_with_bytes(&image, |image, row: usize| image[row * 1024] as u32, 0..1024)?;
    /// assert_eq!(rows, [7; 1024]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn map_with_bytes<F, A, O, R>(
        &self,
        shared: impl AsRef<[u8]>,
        task: F,
        items: impl IntoIterator<Item = A>,
    ) -> Result<Vec<R>, TaskError>
    where
        F: Fn(&[u8], A) -> O + Copy + Send + Sync + 'static,
        O: Returns<R>,
        A: Serialize + DeserializeOwned + 'static,
        R: Serialize + DeserializeOwned + 'static,
    {
        self.map(broadcast_bytes(task, shared), items)
    }
}
