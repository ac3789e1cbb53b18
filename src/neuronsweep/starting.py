"""Imported first by every command: until the command begins, Ctrl-C ends it at once, as SIGTERM does.

While libraries are imported a KeyboardInterrupt may be raised where Python has to ignore it (as the weak references
of the import system do), and nothing is there yet that would have to be closed.
"""

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else somebody wants it to be ignored
    signal.signal(signal.SIGINT, signal.SIG_DFL)
