"""Calls of an extension that were recorded, made again under callgrind; run by valgrind as a script, without torch.

Each case has a process of its own, which dies alone where valgrind does not know an instruction.

Arguments: the extension, the library of valgrind's client requests, and the file of recorded calls.
"""

import ctypes
import importlib.util
import os
import pickle
import sys
from pathlib import Path

if __name__ == "__main__":
    extension, requests, recorded = sys.argv[1:]
    spec = importlib.util.spec_from_file_location("_core", extension)
    assert spec is not None
    assert spec.loader is not None
    core = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(core)
    counting = ctypes.CDLL(requests)
    for name, calls in pickle.loads(Path(recorded).read_bytes()).items():
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            continue
        for function, arguments in calls:
            call = getattr(core, function)
            counting.start()
            call(*arguments)
            counting.stop()
        counting.dump(name.encode())
        os._exit(0)
