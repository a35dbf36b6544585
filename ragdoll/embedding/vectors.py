"""What vectors are to all of ragdoll."""

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""As a rule of shape (rows, dimension); where only numbers of them are meant, of shape (rows,)."""
