//! Shared arrays as `ndarray`'s views.

use ndarray::{ArrayView, ArrayViewMut, Dim, Dimension, IntoDimension};

use super::element::Plain;
use super::rows::{Rows, RowsMut};
use super::sealed::SealedArray;

macro_rules! views {
    ($($type:ident),+) => {
        $(
            impl<T: Plain, const D: usize> $type<T, D>
            where
                [usize; D]: IntoDimension<Dim = Dim<[usize; D]>>,
                Dim<[usize; D]>: Dimension,
            {
                /// The elements as a view of the `ndarray` crate's, of up to six dimensions. With the feature `ndarray`.
                #[must_use]
                pub fn ndarray(&self) -> ArrayView<'_, T, Dim<[usize; D]>> {
                    ArrayView::from_shape(self.shape().into_dimension(), self).expect("as many elements as the shape has")
                }
            }
        )+
    };
}

views!(Rows, RowsMut, SealedArray);

impl<T: Plain, const D: usize> RowsMut<T, D>
where
    [usize; D]: IntoDimension<Dim = Dim<[usize; D]>>,
    Dim<[usize; D]>: Dimension,
{
    /// The elements as a view of the `ndarray` crate's that can be written to, of up to six dimensions. With the feature
    /// `ndarray`.
    ///
    /// ```
    /// let array = ganger::SharedArray::<f64, 2>::zeros([2, 3])?;
    /// array.claim()?.ndarray_mut().column_mut(1).fill(2.0);
    /// assert_eq!(array.view()?.ndarray().sum(), 4.0);
    /// # Ok::<(), ganger::Error>(())
    /// ```
    #[must_use]
    pub fn ndarray_mut(&mut self) -> ArrayViewMut<'_, T, Dim<[usize; D]>> {
        let shape = self.shape().into_dimension();
        ArrayViewMut::from_shape(shape, self).expect("as many elements as the shape has")
    }
}

#[cfg(test)]
mod tests {
    use super::super::shared_array::SharedArray;

    #[test]
    fn views_have_the_shape_of_their_rows() {
        let array = SharedArray::from_fn([4, 2, 3], |[i, j, k]| (100 * i + 10 * j + k) as i32).expect("memory");
        array.part(2..4).expect("within").claim().expect("free").ndarray_mut()[[0, 1, 2]] = 7;
        let view = array.part(1..3).expect("within").view().expect("free");
        assert_eq!((view.ndarray().shape(), view.ndarray()[[0, 1, 2]]), (&[2, 2, 3][..], 112));
        assert_eq!(view.ndarray()[[1, 1, 2]], 7);
        let sealed = array.seal().expect("nobody writes");
        assert_eq!(sealed.ndarray().slice(ndarray::s![3, .., 0]).to_vec(), [300, 310]);
    }
}
