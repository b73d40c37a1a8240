"""A test double of PyTorch: the few calls that functions/generate-torch makes, over numpy, with a GPU that is none.

It is stricter than a GPU where a mistake would only show on one: operands on two devices, or of two kinds of numbers, are refused;
what was copied to the host without waiting cannot be read before `synchronize`, and its source must live until then; memory that is
let go of on the device stays reserved until `empty_cache`.
"""
import weakref

import numpy as np

float16, float32 = np.float16, np.float32
# Tests set it.
has_gpu = True


class _Device:
    def __init__(self):
        self.allocated = self.cached = self.pinned = 0
        self.copies = []

    def took(self, tensor):
        if tensor.device == "cuda":
            self.allocated += tensor.array.nbytes
            weakref.finalize(tensor, self.free, tensor.array.nbytes)

    def free(self, count):
        self.allocated -= count
        self.cached += count


gpu = _Device()


class Tensor:
    def __init__(self, array, device="cpu", pinned=False):
        self.array = np.asarray(array)
        self.device = device
        self.pinned = pinned
        self.is_awaited = False
        gpu.took(self)

    @property
    def shape(self):
        return self.array.shape

    def numel(self):
        return self.array.size

    def element_size(self):
        return self.array.itemsize

    def read(self):
        if self.is_awaited:
            raise RuntimeError("a copy to this tensor is under way")
        return self.array

    def _with(self, array):
        return Tensor(array, self.device)

    def _pair(self, other):
        if not isinstance(other, Tensor):
            return self.read(), np.asarray(other, dtype=self.array.dtype)
        if self.device != other.device:
            raise RuntimeError(f"Expected all tensors to be on the same device, found {self.device} and {other.device}")
        return self.read(), other.read()

    def __matmul__(self, other):
        left, right = self._pair(other)
        if left.dtype != right.dtype:
            raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {left.dtype} != {right.dtype}")
        return self._with((left.astype(np.float32) @ right.astype(np.float32)).astype(left.dtype))

    def __add__(self, other):
        left, right = self._pair(other)
        return self._with(left + right)

    def __sub__(self, other):
        left, right = self._pair(other)
        return self._with(left - right)

    def __mul__(self, other):
        left, right = self._pair(other)
        return self._with(left * right)

    def __truediv__(self, other):
        left, right = self._pair(other)
        return self._with(left / right)

    def __getitem__(self, place):
        return self._with(self.read()[place])

    def __setitem__(self, place, value):
        left, right = self._pair(value)
        if left.dtype != right.dtype:
            raise RuntimeError("the double converts nothing unasked")
        left[place] = right

    def __int__(self):
        return int(self.read().item())

    def reshape(self, *shape):
        return self._with(self.read().reshape(shape))

    def float(self):
        return self._with(self.read().astype(np.float32))

    def cpu(self):
        return Tensor(self.read(), "cpu")

    def mean(self):
        return self._with(self.read().mean())

    def std(self, *, correction):
        return self._with(self.read().std(ddof=correction))

    def to(self, where, non_blocking=False):
        if where in (float16, float32):
            return self._with(self.read().astype(where))
        if where == self.device:
            return self
        if where == "cuda" and not has_gpu:
            raise RuntimeError("No CUDA GPUs are available")
        return Tensor(self.read().copy(), where)

    def copy_(self, source, non_blocking=False):
        if self.device == "cpu" and source.device == "cuda" and non_blocking and self.pinned:
            self.is_awaited = True
            gpu.copies.append((self, weakref.ref(source)))
        elif source is not self:
            self.array[...] = source.read()
        return self


class Generator:
    def manual_seed(self, seed):
        self.random = np.random.RandomState(seed)
        return self


class inference_mode:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def empty(shape, dtype, pin_memory=False):
    if pin_memory and not has_gpu:
        raise RuntimeError("Cannot access accelerator device when none is available.")
    tensor = Tensor(np.full(shape, np.nan, dtype), pinned=pin_memory)
    if pin_memory:
        gpu.pinned += tensor.array.nbytes
    return tensor


def randn(*shape, generator):
    return Tensor(generator.random.standard_normal(shape).astype(np.float32))


def stack(tensors, dim):
    if len({tensor.device for tensor in tensors}) != 1:
        raise RuntimeError("Expected all tensors to be on the same device")
    return Tensor(np.stack([tensor.read() for tensor in tensors], dim), tensors[0].device)


def softmax(tensor, dim):
    array = tensor.read().astype(np.float32)
    powers = np.exp(array - array.max(axis=dim, keepdims=True))
    return Tensor((powers / powers.sum(axis=dim, keepdims=True)).astype(tensor.array.dtype), tensor.device)


def relu(tensor):
    return Tensor(np.maximum(tensor.read(), 0), tensor.device)


def argmax(tensor):
    return Tensor(np.argmax(tensor.read()), tensor.device)


def multinomial(tensor, count, *, generator):
    sums = np.cumsum(tensor.read())
    return Tensor(np.searchsorted(sums, generator.random.random_sample(count) * sums[-1]), tensor.device)


class cuda:
    @staticmethod
    def is_available():
        return has_gpu

    @staticmethod
    def synchronize():
        for tensor, source in gpu.copies:
            if source() is None:
                raise RuntimeError("memory of the device was let go of while it was copied")
            tensor.array[...] = source().array
            tensor.is_awaited = False
        gpu.copies.clear()

    @staticmethod
    def empty_cache():
        gpu.cached = 0

    @staticmethod
    def memory_allocated():
        return gpu.allocated

    @staticmethod
    def memory_reserved():
        return gpu.allocated + gpu.cached
