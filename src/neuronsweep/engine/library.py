import ctypes, functools
from neuronsweep.engine.layout import declare
@functools.cache
def library(bits):
    l = ctypes.CDLL(f"/tmp/m{bits}-gcc.so"); declare(l); return l
def available(): return None
