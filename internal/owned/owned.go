// Package owned refuses files and folders that somebody else could replace:
// whoever owns a folder on the way to a file, or may write to it, decides what
// the file is.
//
// Trusted are root, the user of this process, and the owner of the file
// system's root, who in a container need not be called root.
package owned

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxLinks is how many links a path may lead through, as in the kernel.
const maxLinks = 40

// Check refuses path if a user who is not trusted owns it, may write to it, or
// could do so with a folder or a link on the way to it. What is not there yet
// is not refused, because nobody else can put it there; but for a folder such
// as /tmp, in which all may make what is not there: look again when it is. Nor
// is what this process may not look at, and so cannot use.
func Check(path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	trusted, err := trustedUsers()
	if err != nil {
		return err
	}
	at, rest, links := "/", split(path), 0
	for {
		info, err := os.Lstat(at)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOTDIR) {
			return nil
		}
		if err != nil {
			return err
		}
		if wrong := unsafe(at, info, trusted, len(rest) > 0); wrong != "" {
			return fmt.Errorf("%s %s%s", at, wrong, onTheWay(at, path))
		}
		if info.Mode()&fs.ModeSymlink != 0 {
			if links++; links > maxLinks {
				return &fs.PathError{Op: "follow", Path: path, Err: syscall.ELOOP}
			}
			target, err := os.Readlink(at)
			if err != nil {
				return err
			}
			rest = append(split(target), rest...)
			if at = filepath.Dir(at); filepath.IsAbs(target) {
				at = "/"
			}
		}
		if len(rest) == 0 {
			return nil
		}
		at, rest = filepath.Join(at, rest[0]), rest[1:]
	}
}

// Entry refuses what lies at a path below a folder that Check accepted, unless
// it is a folder or regular file itself, no link, and a trusted user's alone.
func Entry(path string) error {
	trusted, err := trustedUsers()
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	wrong := unsafe(path, info, trusted, false)
	if wrong == "" && !info.IsDir() && !info.Mode().IsRegular() {
		wrong = "is neither a folder nor a regular file; move it away"
	}
	if wrong != "" {
		return fmt.Errorf("%s %s", path, wrong)
	}
	return nil
}

// Owner refuses what belongs to another user than a trusted one and those given,
// wherever it lies.
func Owner(path string, others ...uint32) error {
	trusted, err := trustedUsers()
	if err != nil {
		return err
	}
	for _, look := range []func(string) (fs.FileInfo, error){os.Lstat, os.Stat} {
		info, err := look(path)
		if err != nil {
			return err
		}
		if st, ok := info.Sys().(*syscall.Stat_t); !ok || !slices.Contains(append(trusted, others...), st.Uid) {
			return fmt.Errorf("%s belongs to user %d", path, st.Uid)
		}
	}
	return nil
}

func split(path string) []string {
	return slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" || s == "." })
}

func onTheWay(at, path string) string {
	if at == path {
		return ""
	}
	return fmt.Sprintf(" (%s is reached through it)", path)
}

func trustedUsers() ([]uint32, error) {
	var root unix.Stat_t
	if err := unix.Lstat("/", &root); err != nil {
		return nil, &fs.PathError{Op: "lstat", Path: "/", Err: err}
	}
	return []uint32{0, uint32(os.Geteuid()), root.Uid}, nil
}

// unsafe says who else decides over a file, and what to do about it; "" if
// nobody does. In a sticky folder on the way all may write, and touch only what
// is their own.
func unsafe(path string, info fs.FileInfo, trusted []uint32, onTheWay bool) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return "has no owner"
	case !slices.Contains(trusted, st.Uid):
		return fmt.Sprintf("belongs to user %d, who could put anything there; choose another place or change its owner", st.Uid)
	case !info.IsDir() && !info.Mode().IsRegular(): // a link's mode means nothing, and a device keeps nothing
		return ""
	case onTheWay && info.IsDir() && info.Mode()&fs.ModeSticky != 0:
		return ""
	case st.Mode&unix.S_IWOTH != 0:
		return "can be written by everybody; run `chmod o-w` on it"
	case st.Mode&unix.S_IWGRP != 0 && (!ownGroup(st.Gid) || hasACL(path)):
		return fmt.Sprintf("can be written by group %d or by users of its access list; run `chmod g-w` on it", st.Gid)
	}
	return ""
}

// ownGroup accepts root's group, and for another user the group of that user,
// which where umask is 002 nobody else is in.
func ownGroup(gid uint32) bool { return gid == 0 || int(gid) == os.Getegid() }

// hasACL reports whether the group's bits are the mask of an access list, which
// may name anyone.
func hasACL(path string) bool {
	_, err := unix.Lgetxattr(path, "system.posix_acl_access", nil)
	return err == nil
}
