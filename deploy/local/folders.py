# SPDX-License-Identifier: MIT
"""Folders under run/ when root starts everything for an unprivileged user. Where root writes, that user cannot: run/ and
what is read only belong to root, so that no name in them can be exchanged for a link. Where the user writes, root does
not. What an earlier start left is taken over, unless there are links in it. Started by anybody else, all is theirs."""
import os
import stat


class Unsafe(Exception):
    """One line for people."""


def take(path, mode, owner=None):
    """A folder, made if missing, with this mode and owner ((uid, gid), None: as it is); never through a link."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    fd = _open(path, os.O_DIRECTORY)
    try:
        if owner:
            os.fchown(fd, *owner)
        if owner or os.fstat(fd).st_uid == os.getuid():
            os.fchmod(fd, mode)
        here, there = os.fstat(fd), os.lstat(path)
        if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
            raise Unsafe(f"{path} was exchanged")
    finally:
        os.close(fd)
    return path


def refuse_links(folder, deep=True):
    """Nothing in a folder that is root's now leads elsewhere: whoever had it before may have put links into it."""
    for entry in os.scandir(folder):
        st = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(st.st_mode) or (stat.S_ISREG(st.st_mode) and st.st_nlink > 1):
            raise Unsafe(f"{entry.path} is a link: remove it")
        if deep and entry.is_dir(follow_symlinks=False):
            if os.getuid() == 0:
                take(entry.path, 0o755, (0, 0))
            refuse_links(entry.path)


def set_file(path, mode, owner=None):
    """Mode and owner of a file that is there; never through a link."""
    fd = _open(path, os.O_NONBLOCK)
    try:
        if owner:
            os.fchown(fd, *owner)
        os.fchmod(fd, mode)
    finally:
        os.close(fd)


def publish(path, text):
    """A file that every user may read, new or in place of the old one."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644)
    with os.fdopen(fd, "w") as f:
        os.fchmod(fd, 0o644)
        f.write(text)
    os.replace(new, path)
    return path


def read(path):
    """A file in a folder of the unprivileged user's: its text, never through a link."""
    with os.fdopen(_open(path, os.O_NONBLOCK)) as f:
        if not stat.S_ISREG(os.fstat(f.fileno()).st_mode):
            raise Unsafe(f"{path} is no file")
        return f.read()


def _open(path, flags):
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | flags)
    except OSError as e:
        raise Unsafe(f"{path}: {e.strerror}") from None
