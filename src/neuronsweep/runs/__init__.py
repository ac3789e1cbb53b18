"""The files of run and sweep directories: written, read, checked, locked and collected."""
