"""Makes the files beside it; they were made with NumPy 2.4.6: python3 make.py"""

import numpy as np


def numbers(dtype, *shape):
    return np.arange(int(np.prod(shape))).reshape(shape).astype(dtype)


def save(name, array, version=None):
    with open(f"{name}.npy", "wb") as file:
        np.lib.format.write_array(file, array, version)


save("f8", numbers("<f8", 3, 2) + 0.5)
save("f8-version-2", numbers("<f8", 3, 2) + 0.5, (2, 0))
save("f8-version-3", numbers("<f8", 3, 2) + 0.5, (3, 0))
save("f8-big", numbers(">f8", 3, 2) + 0.5)
save("f8-fortran", np.asfortranarray(numbers("<f8", 3, 2) + 0.5))
save("i2-big-fortran", np.asfortranarray(numbers(">i2", 2, 3, 4)))
save("u1", numbers("u1", 5))
save("c16", np.array([1 + 2j, 3 - 4j]))
save("bool", np.array([True, False]))
save("f2", numbers("<f2", 3))
save("records", np.zeros(2, dtype=[("a", "<f8"), ("b", "<i4")]))
save("empty", numbers("<f8", 0, 2))
save("scalar", np.array(1.5))
